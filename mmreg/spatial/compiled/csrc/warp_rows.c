/* The linear warp of volumes whose channels are stored inside, next to each other, and its two gradients. */
#include "warp.h"

typedef struct {
    int32_t at[8];
    float weight[8];
} corners;

/* Offsets and weights of the eight neighbours, x fastest. */
MMREG_INSIDE corners corners_of(const cells *c, int64_t i) {
    corners r;
    for (int k = 0; k < 8; k++) {
        float z = k & 4 ? c->z.above[i] : c->z.below[i], y = k & 2 ? c->y.above[i] : c->y.below[i];
        float x = k & 1 ? c->x.above[i] : c->x.below[i];
        r.at[k] = (k & 4 ? c->z.high[i] : c->z.low[i]) + (k & 2 ? c->y.high[i] : c->y.low[i]) +
                  (k & 1 ? c->x.high[i] : c->x.low[i]);
        r.weight[k] = z * y * x;
    }
    return r;
}

MMREG_CLONES static void warp_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / v->depth, z = index % v->depth, channels = w->channels;
    const float *image = w->image + sample * w->image_step, *field = w->field + sample * w->field_step;
    cells c;
    for (int64_t y = 0; y < v->height; y++) {
        for (int64_t x = 0; x < v->width; x += CHUNK) {
            int64_t count = mmreg_min(CHUNK, v->width - x), first = (z * v->height + y) * v->width + x;
            float *restrict out = w->out + (sample * w->voxels + first) * channels;
            find_cells(&c, field + first, w->voxels, count, z, y, x, v);
            for (int64_t i = 0; i < count; i++, out += channels) {
                const corners r = corners_of(&c, i);
                const float *p0 = image + r.at[0], *p1 = image + r.at[1], *p2 = image + r.at[2];
                const float *p3 = image + r.at[3], *p4 = image + r.at[4], *p5 = image + r.at[5];
                const float *p6 = image + r.at[6], *p7 = image + r.at[7];
                if (!(c.reads[i] | v->border)) {
                    memset(out, 0, (size_t)channels * sizeof(float));
                    continue;
                }
                for (int64_t k = 0; k < channels; k++)
                    out[k] = ((r.weight[0] * p0[k] + r.weight[1] * p1[k]) +
                              (r.weight[2] * p2[k] + r.weight[3] * p3[k])) +
                             ((r.weight[4] * p4[k] + r.weight[5] * p5[k]) +
                              (r.weight[6] * p6[k] + r.weight[7] * p7[k]));
            }
        }
    }
}

/* Sum over the channels of `grad` times each of the eight neighbours. */
MMREG_INSIDE void products(const float *image, const float *grad, const corners *r, int64_t channels, float *sums) {
    for (int k = 0; k < 8; k++) {
        const float *p = image + r->at[k];
        float lanes[8] = {0};
        int64_t at = 0;
        for (; at + 8 <= channels; at += 8)
            for (int l = 0; l < 8; l++) lanes[l] += grad[at + l] * p[at + l];
        float total = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
        for (; at < channels; at++) total += grad[at] * p[at];
        sums[k] = total;
    }
}

/* Derivative by the displacement: one slice of one sample. */
MMREG_CLONES static void field_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / v->depth, z = index % v->depth;
    const float *image = w->image + sample * w->image_step, *field = w->field + sample * w->field_step;
    float dots[CHUNK][8];
    cells c;
    for (int64_t y = 0; y < v->height; y++) {
        for (int64_t x = 0; x < v->width; x += CHUNK) {
            int64_t count = mmreg_min(CHUNK, v->width - x), first = (z * v->height + y) * v->width + x;
            const float *grad = w->grad + (sample * w->voxels + first) * w->channels;
            float *out = w->to_field + sample * 3 * w->voxels + first;
            find_cells(&c, field + first, w->voxels, count, z, y, x, v);
            for (int64_t i = 0; i < count; i++) {
                const corners r = corners_of(&c, i);
                products(image, grad + i * w->channels, &r, w->channels, dots[i]);
            }
            for (int64_t i = 0; i < count; i++) {
                float by_z, by_y, by_x;
                slopes_of(&c, i, dots[i], &by_z, &by_y, &by_x);
                if (!c.reads[i]) continue;
                out[i] += by_z;
                out[i + w->voxels] += by_y;
                out[i + 2 * w->voxels] += by_x;
            }
        }
    }
}

/* Derivative by the image: what falls into one slab of slices (see warp_planar.c). */
MMREG_CLONES static void image_slab(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / w->slabs, slab = index % w->slabs, channels = w->channels;
    int64_t plane = v->height * v->width * channels;
    int64_t begin = slab * v->depth / w->slabs, end = (slab + 1) * v->depth / w->slabs;
    const float *field = w->field + sample * w->field_step;
    float *image = w->to_image + sample * w->voxels * channels;
    cells c;
    for (int64_t row = 0; row < v->depth * v->height; row++) {
        const int32_t *range = w->ranges + 2 * (sample * v->depth * v->height + row);
        if (range[0] >= end || range[1] < begin) continue;
        for (int64_t x = 0; x < v->width; x += CHUNK) {
            int64_t count = mmreg_min(CHUNK, v->width - x), first = row * v->width + x;
            const float *restrict grad = w->grad + (sample * w->voxels + first) * channels;
            find_cells(&c, field + first, w->voxels, count, row / v->height, row % v->height, x, v);
            for (int64_t i = 0; i < count; i++, grad += channels) {
                if (!c.reads[i]) continue;
                const corners r = corners_of(&c, i);
                for (int k = 0; k < 8; k++) {
                    int32_t at_z = k & 4 ? c.z.high[i] : c.z.low[i];
                    if (at_z < begin * plane || at_z >= end * plane) continue;
                    float *restrict p = image + r.at[k];
                    for (int64_t l = 0; l < channels; l++) p[l] += r.weight[k] * grad[l];
                }
            }
        }
    }
}

/* As mmreg_warp_planar, for image and out of (samples, depth, height, width, channels). */
int mmreg_warp_rows(const float *image, const float *field, float *out, int64_t samples, int64_t channels,
                    const int64_t *size, int64_t image_step, int64_t field_step, int border, int threads) {
    job w = {.image = image, .field = field, .out = out, .channels = channels,
             .voxels = size[0] * size[1] * size[2], .image_step = image_step, .field_step = field_step,
             .v = {size[0], size[1], size[2], channels, border}};
    return mmreg_parallel(warp_slice, &w, samples * size[0], 0, threads);
}

/* As mmreg_warp_planar_backward, for grad, image and to_image of (samples, depth, height, width, channels). */
int mmreg_warp_rows_backward(const float *grad, const float *image, const float *field, float *to_image,
                             float *to_field, int32_t *ranges, int64_t samples, int64_t channels, const int64_t *size,
                             int64_t image_step, int64_t field_step, int border, int threads) {
    job w = {.image = image, .field = field, .grad = grad, .to_image = to_image, .to_field = to_field,
             .channels = channels, .voxels = size[0] * size[1] * size[2], .image_step = image_step,
             .field_step = field_step, .ranges = ranges, .v = {size[0], size[1], size[2], channels, border}};
    int status = to_field ? mmreg_parallel(field_slice, &w, samples * size[0], 0, threads) : MMREG_DONE;
    return status || !to_image ? status : by_slabs(image_slab, &w, samples, threads);
}
