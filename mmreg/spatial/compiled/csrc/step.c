/* What an iteration of gradient descent on a field does besides its loss, in few passes over memory: the gradient by a
   composed increment, running means, and the direction that they give. Fields are (samples, 3, depth, height, width). */
#include <float.h>
#include <math.h>

#include "common.h"

#define LANES 16

typedef struct {
    const float *field, *gradient, *added;
    float *mean, *square, *out, *largest;
    int64_t depth, height, width, voxels;
    float mobility[3], momentum, memory, by_mean, by_square;
    int by_length;
} job;

/* Half the difference of both neighbours at row `at`; one-sided at the ends, where one of them is the row itself. */
typedef struct {
    const float *low, *high;
    float half;
} neighbours;

MMREG_INSIDE neighbours beside(const float *row, int64_t index, int64_t n, int64_t step) {
    const int64_t down = index > 0 ? step : 0, up = index < n - 1 ? step : 0;
    return (neighbours){row - down, row + up, down && up ? 0.5f : 1.0f};
}

/* out_j = g_j + sum over i of (d u_i / d x_j) g_i: one slice of one sample. */
MMREG_CLONES static void transposed_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *t = context;
    const int64_t sample = index / t->depth, z = index % t->depth, plane = t->height * t->width, last = t->width - 1;
    for (int64_t y = 0; y < t->height; y++) {
        const int64_t first = sample * 3 * t->voxels + z * plane + y * t->width;
        const float *restrict g0 = t->gradient + first, *restrict g1 = g0 + t->voxels, *restrict g2 = g1 + t->voxels;
        for (int j = 0; j < 2; j++) {
            float *restrict out = t->out + first + j * t->voxels;
            const float *restrict own = j ? g1 : g0;
            neighbours u[3];
            for (int i = 0; i < 3; i++) {
                const float *row = t->field + first + i * t->voxels;
                u[i] = j ? beside(row, y, t->height, t->width) : beside(row, z, t->depth, plane);
            }
            const float half = u[0].half;
            const float *restrict a = u[0].low, *restrict b = u[0].high, *restrict c = u[1].low;
            const float *restrict d = u[1].high, *restrict e = u[2].low, *restrict f = u[2].high;
            for (int64_t x = 0; x <= last; x++)
                out[x] = own[x] + (((b[x] - a[x]) * half * g0[x] + (d[x] - c[x]) * half * g1[x]) +
                                   (f[x] - e[x]) * half * g2[x]);
        }
        const float *restrict u0 = t->field + first, *restrict u1 = u0 + t->voxels, *restrict u2 = u1 + t->voxels;
        float *restrict out = t->out + first + 2 * t->voxels;
        for (int64_t x = 1; x < last; x++)
            out[x] = g2[x] + (((u0[x + 1] - u0[x - 1]) * 0.5f * g0[x] + (u1[x + 1] - u1[x - 1]) * 0.5f * g1[x]) +
                              (u2[x + 1] - u2[x - 1]) * 0.5f * g2[x]);
        const int64_t ends[2] = {0, last};
        for (int k = 0; k < 2; k++) {
            const int64_t x = ends[k], low = mmreg_max(x - 1, 0), high = mmreg_min(x + 1, last);
            if (k && last == 0) break;
            const float half = x > 0 && x < last ? 0.5f : 1.0f;
            out[x] = g2[x] + (((u0[high] - u0[low]) * half * g0[x] + (u1[high] - u1[low]) * half * g1[x]) +
                              (u2[high] - u2[low]) * half * g2[x]);
        }
    }
}

/* The larger of two numbers; what is no number stays, as in PyTorch. */
MMREG_INSIDE float larger(float a, float b) { return (b > a) | (b != b) ? b : a; }

/* The larger of each lane; what is left over goes to the first lanes. */
MMREG_INSIDE void keep_largest(float *restrict lanes, const float *restrict values, int64_t count) {
    int64_t x = 0;
    for (; x + LANES <= count; x += LANES)
        for (int k = 0; k < LANES; k++) lanes[k] = larger(lanes[k], values[x + k]);
    for (int k = 0; x < count; x++, k++) lanes[k] = larger(lanes[k], values[x]);
}

MMREG_INSIDE float largest_of(const float *lanes) {
    float found = 0.0f;
    for (int k = 0; k < LANES; k++) found = larger(found, lanes[k]);
    return found;
}

/* Running means of the gradient and of its square, and the largest of the latter: one slice of one sample. */
MMREG_CLONES static void running_slice(void *context, int64_t index, void *room) {
    const job *t = context;
    const int64_t sample = index / t->depth, z = index % t->depth, plane = t->height * t->width;
    const float keep = t->momentum, add = 1.0f - keep, keep_square = t->memory, add_square = 1.0f - keep_square;
    float *restrict energy = room, lanes[LANES] = {0};
    for (int64_t y = 0; y < t->height; y++) {
        const int64_t at = z * plane + y * t->width;
        for (int i = 0; i < 3; i++) {
            const float *restrict g = t->gradient + (sample * 3 + i) * t->voxels + at;
            float *restrict mean = t->mean + (sample * 3 + i) * t->voxels + at;
            const float m = t->mobility[i];
            for (int64_t x = 0; x < t->width; x++) mean[x] = mean[x] * keep + g[x] * m * add;
            if (t->by_length) {
                if (i == 0) {
                    for (int64_t x = 0; x < t->width; x++) energy[x] = g[x] * m * (g[x] * m);
                } else {
                    for (int64_t x = 0; x < t->width; x++) energy[x] += g[x] * m * (g[x] * m);
                }
                if (i < 2) continue;
            } else {
                for (int64_t x = 0; x < t->width; x++) energy[x] = g[x] * m * (g[x] * m);
            }
            float *restrict square = t->square + (t->by_length ? sample : sample * 3 + i) * t->voxels + at;
            for (int64_t x = 0; x < t->width; x++) square[x] = square[x] * keep_square + energy[x] * add_square;
            keep_largest(lanes, square, t->width);
        }
    }
    t->largest[index] = largest_of(lanes);
}

/* The mean over the root of the mean square, and the largest squared length: one slice of one sample. */
MMREG_CLONES static void direction_slice(void *context, int64_t index, void *room) {
    const job *t = context;
    const int64_t sample = index / t->depth, z = index % t->depth, plane = t->height * t->width;
    const float added = t->added[sample];
    float *restrict length = room, lanes[LANES] = {0};
    for (int64_t y = 0; y < t->height; y++) {
        const int64_t at = z * plane + y * t->width;
        for (int i = 0; i < 3; i++) {
            const float *restrict mean = t->mean + (sample * 3 + i) * t->voxels + at;
            const float *restrict square = t->square + (t->by_length ? sample : sample * 3 + i) * t->voxels + at;
            float *restrict out = t->out + (sample * 3 + i) * t->voxels + at;
            const float m = t->mobility[i];
            for (int64_t x = 0; x < t->width; x++) {
                const float root = sqrtf(square[x] / t->by_square) + added;
                out[x] = mean[x] / t->by_mean / (root < FLT_MIN ? FLT_MIN : root) * m;
            }
            if (i == 0) {
                for (int64_t x = 0; x < t->width; x++) length[x] = out[x] * out[x];
            } else {
                for (int64_t x = 0; x < t->width; x++) length[x] += out[x] * out[x];
            }
        }
        keep_largest(lanes, length, t->width);
    }
    t->largest[index] = largest_of(lanes);
}

static job job_of(const int64_t *size) {
    return (job){.depth = size[0], .height = size[1], .width = size[2], .voxels = size[0] * size[1] * size[2]};
}

/* Gradient by a small displacement that the field is composed with: out = (I + Du)^T gradient. Axes of two voxels or
   more. */
int mmreg_transposed(const float *field, const float *gradient, float *out, int64_t samples, const int64_t *size,
                     int threads) {
    job t = job_of(size);
    t.field = field, t.gradient = gradient, t.out = out;
    return mmreg_parallel(transposed_slice, &t, samples * size[0], 0, threads);
}

/* mean = momentum * mean + (1 - momentum) * g, square likewise with memory and g^2, or with the squared length of g for
   all three where `by_length` (square has one channel then); g is the gradient times `mobility`. largest: (samples,
   depth), of the square. */
int mmreg_running(const float *gradient, float *mean, float *square, float *largest, int64_t samples,
                  const int64_t *size, const float *mobility, float momentum, float memory, int by_length,
                  int threads) {
    job t = job_of(size);
    t.gradient = gradient, t.mean = mean, t.square = square, t.largest = largest;
    t.momentum = momentum, t.memory = memory, t.by_length = by_length;
    memcpy(t.mobility, mobility, sizeof t.mobility);
    return mmreg_parallel(running_slice, &t, samples * size[0], MMREG_FLOATS(size[2]), threads);
}

/* out = mean / by_mean / (sqrt(square / by_square) + added) * mobility, `added` per sample. largest: (samples, depth),
   of the squared length of out. */
int mmreg_direction(const float *mean, const float *square, const float *added, float *out, float *largest,
                    int64_t samples, const int64_t *size, const float *mobility, float by_mean, float by_square,
                    int by_length, int threads) {
    job t = job_of(size);
    t.mean = (float *)mean, t.square = (float *)square, t.added = added, t.out = out, t.largest = largest;
    t.by_mean = by_mean, t.by_square = by_square, t.by_length = by_length;
    memcpy(t.mobility, mobility, sizeof t.mobility);
    return mmreg_parallel(direction_slice, &t, samples * size[0], MMREG_FLOATS(size[2]), threads);
}
