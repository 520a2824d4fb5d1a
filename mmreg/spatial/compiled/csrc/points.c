/* What an affine search asks for again and again: an image at scattered points, and the joint histogram of what it shows
   there with what is known of the points. */
#include "common.h"

#define AT_ONCE 2048

typedef struct {
    const float *image, *position, *values, *weights, *slope, *outer;
    const int64_t *rows;
    float *out, *slopes, *joint, *to_values, *to_weights;
    int64_t channels, depth, height, width, points, bins, parts;
} job;

/* One axis: the voxel below and the step to the one above, the weight of the latter, and whether the value changes. */
typedef struct {
    int64_t low, step;
    float above, moves;
} edge;

MMREG_INSIDE edge edge_of(float from_middle, int64_t n, int64_t stride) {
    float above, moves;
    const int64_t low = mmreg_below(from_middle + (float)(n - 1) / 2.0f, n, &above, &moves);
    return (edge){low * stride, n > 1 ? stride : 0, above, n > 1 ? moves : 0.0f};
}

/* Some points of one map. */
MMREG_CLONES static void points_part(void *context, int64_t index, void *room) {
    (void)room;
    const job *t = context;
    const int64_t map = index / t->parts, first = index % t->parts * AT_ONCE;
    const int64_t end = mmreg_min(first + AT_ONCE, t->points), plane = t->height * t->width;
    const float *pz = t->position + map * 3 * t->points, *py = pz + t->points, *px = py + t->points;
    for (int64_t c = 0; c < t->channels; c++) {
        const float *image = t->image + c * t->depth * plane;
        float *out = t->out + (map * t->channels + c) * t->points;
        float *slopes = t->slopes ? t->slopes + (map * t->channels + c) * 3 * t->points : 0;
        for (int64_t i = first; i < end; i++) {
            const edge z = edge_of(pz[i], t->depth, plane), y = edge_of(py[i], t->height, t->width);
            const edge x = edge_of(px[i], t->width, 1);
            const float *p = image + z.low + y.low + x.low, *q = p + z.step;
            const float a0 = p[0], a1 = p[x.step] - a0, b0 = p[y.step], b1 = p[y.step + x.step] - b0;
            const float c0 = q[0], c1 = q[x.step] - c0, d0 = q[y.step], d1 = q[y.step + x.step] - d0;
            const float a = a0 + x.above * a1, b = b0 + x.above * b1 - a;
            const float e = c0 + x.above * c1, f = d0 + x.above * d1 - e;
            const float near = a + y.above * b, far = e + y.above * f - near;
            out[i] = near + z.above * far;
            if (!slopes) continue;
            const float g = a1 + y.above * (b1 - a1), h = c1 + y.above * (d1 - c1);
            slopes[i] = z.moves * far;
            slopes[t->points + i] = y.moves * (b + z.above * (f - b));
            slopes[2 * t->points + i] = x.moves * (g + z.above * (h - g));
        }
    }
}

/* Where the four taps of a value in [0, 1] begin, and how far it is beyond the second. */
MMREG_INSIDE int64_t first_tap(float value, int64_t bins, float *t) {
    const float inside = value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f;
    const float position = inside * (float)(bins - 3) + 1.0f;
    int64_t base = (int64_t)position;
    if (base > bins - 3) base = bins - 3;
    *t = position - (float)base;
    return base - 1;
}

/* Cubic B-spline at t + 1, t, t - 1, t - 2 for t in [0, 1], and its derivatives. */
MMREG_INSIDE void taps_of(float t, float *taps) {
    const float square = t * t, cube = square * t, left = 1.0f - t;
    taps[0] = left * left * left / 6.0f;
    taps[1] = (3.0f * cube - 6.0f * square + 4.0f) / 6.0f;
    taps[3] = cube / 6.0f;
    taps[2] = 1.0f - taps[0] - taps[1] - taps[3];
}

MMREG_INSIDE void slopes_of(float t, float *slopes) {
    slopes[0] = -0.5f * (1.0f - t) * (1.0f - t);
    slopes[1] = 1.5f * t * t - 2.0f * t;
    slopes[3] = 0.5f * t * t;
    slopes[2] = -slopes[0] - slopes[1] - slopes[3];
}

/* One histogram. */
MMREG_CLONES static void histogram_of(void *context, int64_t index, void *room) {
    (void)room;
    const job *t = context;
    const float *values = t->values + index * t->points, *weights = t->weights + index / t->channels * t->points;
    const int64_t *rows = t->rows + index % t->channels * t->points;
    float *joint = t->joint + index * t->bins * t->bins;
    for (int64_t i = 0; i < t->points; i++) {
        float beyond, taps[4];
        float *bin = joint + rows[i] + first_tap(values[i], t->bins, &beyond);
        taps_of(beyond, taps);
        for (int k = 0; k < 4; k++) bin[k] += taps[k] * weights[i];
    }
}

/* Its gradients by values and weights, where the score has `slope` at the bins. */
MMREG_CLONES static void histogram_gradient_of(void *context, int64_t index, void *room) {
    (void)room;
    const job *t = context;
    const float *values = t->values + index * t->points, *weights = t->weights + index / t->channels * t->points;
    const int64_t *rows = t->rows + index % t->channels * t->points;
    const float *slope = t->slope + index * t->bins * t->bins, outer = t->outer[index];
    for (int64_t i = 0; i < t->points; i++) {
        float beyond, taps[4], slopes[4], by_value = 0.0f, by_weight = 0.0f;
        const float *bin = slope + rows[i] + first_tap(values[i], t->bins, &beyond);
        taps_of(beyond, taps);
        slopes_of(beyond, slopes);
        for (int k = 0; k < 4; k++) by_value += bin[k] * slopes[k], by_weight += bin[k] * taps[k];
        t->to_values[index * t->points + i] = by_value * weights[i] * (outer * (float)(t->bins - 3));
        t->to_weights[index * t->points + i] = by_weight * outer;
    }
}

/* image: (channels, *size). position: (maps, 3, points), voxels from the middle; outside the nearest voxel goes on. out:
   (maps, channels, points). slopes: derivatives by the position, (maps, channels, 3, points), or NULL. */
int mmreg_points(const float *image, const float *position, float *out, float *slopes, int64_t channels,
                 const int64_t *size, int64_t maps, int64_t points, int threads) {
    job t = {.image = image, .position = position, .out = out, .slopes = slopes, .channels = channels,
             .depth = size[0], .height = size[1], .width = size[2], .points = points,
             .parts = (points + AT_ONCE - 1) / AT_ONCE};
    return mmreg_parallel(points_part, &t, maps * t.parts, 0, threads);
}

/* values: (maps, channels, points). weights: (maps, points). rows: (channels, points), of each point the first bin of
   its row. Adds to joint: (maps, channels, bins, bins), taps of a cubic B-spline along the last axis. */
int mmreg_histogram(const float *values, const float *weights, const int64_t *rows, float *joint, int64_t maps,
                    int64_t channels, int64_t points, int64_t bins, int threads) {
    job t = {.values = values, .weights = weights, .rows = rows, .joint = joint, .channels = channels,
             .points = points, .bins = bins};
    return mmreg_parallel(histogram_of, &t, maps * channels, 0, threads);
}

/* slope: derivative of the score by the histogram. outer: (maps, channels), by the score. to_values, to_weights: (maps,
   channels, points). */
int mmreg_histogram_gradient(const float *values, const float *weights, const int64_t *rows, const float *slope,
                             const float *outer, float *to_values, float *to_weights, int64_t maps, int64_t channels,
                             int64_t points, int64_t bins, int threads) {
    job t = {.values = values, .weights = weights, .rows = rows, .slope = slope, .outer = outer,
             .to_values = to_values, .to_weights = to_weights, .channels = channels, .points = points, .bins = bins};
    return mmreg_parallel(histogram_gradient_of, &t, maps * channels, 0, threads);
}
