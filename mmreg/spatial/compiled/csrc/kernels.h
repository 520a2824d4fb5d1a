/* The functions that Python calls. This table is the only place that lists their arguments: it declares them here, and
   mmreg_signatures gives its text to mmreg/spatial/compiled/library.py, which converts arguments by it. */
#ifndef MMREG_KERNELS_H
#define MMREG_KERNELS_H

#include <stdint.h>

/* Raised with every change of what a function does with its arguments; library.py asks for the same number. */
#define MMREG_KERNELS 5

/* What every kernel returns. */
enum { MMREG_DONE = 0, MMREG_NO_MEMORY = 1 };

#define MMREG_TABLE(KERNEL)                                                                                            \
    KERNEL(mmreg_box, (const float *in, float *out, int64_t volumes, const int64_t *size, const int64_t *reach,        \
                       int threads))                                                                                   \
    KERNEL(mmreg_determinant, (const float *field, float *out, int64_t samples, const int64_t *size, int threads))      \
    KERNEL(mmreg_direction, (const float *mean, const float *square, const float *added, float *out, float *largest,   \
                             int64_t samples, const int64_t *size, const float *mobility, float by_mean,               \
                             float by_square, int by_length, int threads))                                             \
    KERNEL(mmreg_filter, (const float *in, float *out, int64_t volumes, const int64_t *size, const float *taps,        \
                          const int64_t *radius, int border, int threads))                                             \
    KERNEL(mmreg_histogram, (const float *values, const float *weights, const int64_t *rows, float *joint,             \
                             int64_t maps, int64_t channels, int64_t points, int64_t bins, int threads))               \
    KERNEL(mmreg_histogram_gradient,                                                                                   \
           (const float *values, const float *weights, const int64_t *rows, const float *slope, const float *outer,    \
            float *to_values, float *to_weights, int64_t maps, int64_t channels, int64_t points, int64_t bins,         \
            int threads))                                                                                              \
    KERNEL(mmreg_invert_slices, (const float *field, float *out, int32_t *steps, const int64_t *size,                  \
                                 const int64_t *factors, int64_t first, int64_t count, float tolerance,                \
                                 int64_t iterations, int threads))                                                     \
    KERNEL(mmreg_local_correlation,                                                                                    \
           (const float *first, const float *second, const float *mask, const float *counts, const float *first_less, \
            const float *second_less, float *to_first, float *to_second, float *room, double *total, int64_t volumes,  \
            int64_t channels, const int64_t *size, const int64_t *reach,                                               \
            float n, float eps, float scale, int exponent, int threads))                                               \
    KERNEL(mmreg_points, (const float *image, const float *position, float *out, float *slopes, int64_t channels,      \
                          const int64_t *size, int64_t maps, int64_t points, int threads))                             \
    KERNEL(mmreg_running, (const float *gradient, float *mean, float *square, float *largest, int64_t samples,         \
                           const int64_t *size, const float *mobility, float momentum, float memory, int by_length,    \
                           int threads))                                                                               \
    KERNEL(mmreg_self_similarity,                                                                                      \
           (const float *first, const float *second, const float *mask, float *first_maps, float *second_maps,        \
            int32_t *first_lowest, int32_t *second_lowest, double *results, const int64_t *size,                       \
            const int64_t *pairs, const float *limits, int squared, int threads))                                      \
    KERNEL(mmreg_self_similarity_gradient,                                                                             \
           (const float *image, const float *maps, const int32_t *lowest, float *out, const int64_t *size,            \
            const int64_t *pairs, float by_spread, int threads))                                                       \
    KERNEL(mmreg_there_and_back,                                                                                       \
           (const float *field, const float *kept, double *results, const int64_t *size, const int64_t *kept_size,    \
            const int64_t *factors, const int64_t *kept_factors, const float *matrix, int64_t every, int threads))     \
    KERNEL(mmreg_transposed, (const float *field, const float *gradient, float *out, int64_t samples,                  \
                              const int64_t *size, int threads))                                                       \
    KERNEL(mmreg_warp_planar, (const float *image, const float *field, const float *extra, float *out,                 \
                               int64_t samples, int64_t channels, const int64_t *size, int64_t image_step,             \
                               int64_t field_step, int border, int threads))                                           \
    KERNEL(mmreg_warp_planar_backward,                                                                                 \
           (const float *grad, const float *image, const float *field, float *to_image, float *to_field,              \
            int32_t *ranges, int64_t samples, int64_t channels, const int64_t *size, int64_t image_step,               \
            int64_t field_step, int border, int threads))                                                              \
    KERNEL(mmreg_warp_rows, (const float *image, const float *field, float *out, int64_t samples, int64_t channels,    \
                             const int64_t *size, int64_t image_step, int64_t field_step, int border, int threads))    \
    KERNEL(mmreg_warp_rows_backward,                                                                                   \
           (const float *grad, const float *image, const float *field, float *to_image, float *to_field,              \
            int32_t *ranges, int64_t samples, int64_t channels, const int64_t *size, int64_t image_step,               \
            int64_t field_step, int border, int threads))                                                              \
    KERNEL(mmreg_warp_slopes, (const float *image, const float *field, float *out, float *slopes, int64_t samples,     \
                               const int64_t *size, int64_t image_step, int64_t field_step, int border, int threads))

#define MMREG_DECLARE(name, arguments) int name arguments;
MMREG_TABLE(MMREG_DECLARE)

int mmreg_kernels(void);
const char *mmreg_signatures(void);

#endif
