/* The linear warp of volumes whose channels are stored one after the other, and its two gradients. */
#include "warp.h"

/* The eight neighbours of each of some voxels, x fastest. They are fetched one by one; what is computed of them then is
   computed for many voxels at once. */
typedef float neighbours[8][CHUNK];

MMREG_INSIDE void fetch(const float *p, const cells *c, int64_t count, neighbours found) {
    for (int64_t i = 0; i < count; i++) {
        const int32_t x0 = c->x.low[i], x1 = c->x.high[i];
        const int32_t a = c->z.low[i] + c->y.low[i], b = c->z.low[i] + c->y.high[i];
        const int32_t d = c->z.high[i] + c->y.low[i], e = c->z.high[i] + c->y.high[i];
        found[0][i] = p[a + x0], found[1][i] = p[a + x1], found[2][i] = p[b + x0], found[3][i] = p[b + x1];
        found[4][i] = p[d + x0], found[5][i] = p[d + x1], found[6][i] = p[e + x0], found[7][i] = p[e + x1];
    }
}

MMREG_INSIDE float value_at(neighbours p, const cells *c, int64_t i) {
    const float below = c->x.below[i], above = c->x.above[i];
    const float low = c->y.below[i] * (below * p[0][i] + above * p[1][i]) +
                      c->y.above[i] * (below * p[2][i] + above * p[3][i]);
    const float high = c->y.below[i] * (below * p[4][i] + above * p[5][i]) +
                       c->y.above[i] * (below * p[6][i] + above * p[7][i]);
    return c->z.below[i] * low + c->z.above[i] * high;
}

MMREG_INSIDE void slopes_at(neighbours p, const cells *c, int64_t i, float *by_z, float *by_y, float *by_x) {
    const float around[8] = {p[0][i], p[1][i], p[2][i], p[3][i], p[4][i], p[5][i], p[6][i], p[7][i]};
    slopes_of(c, i, around, by_z, by_y, by_x);
}

/* One slice of one sample. */
MMREG_CLONES static void warp_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / v->depth, z = index % v->depth, plane = v->height * v->width;
    const float *image = w->image + sample * w->image_step, *field = w->field + sample * w->field_step;
    float *out = w->out + sample * w->channels * w->voxels;
    neighbours around;
    cells c;
    for (int64_t at = 0; at < plane; at += v->width) {
        for (int64_t x = 0; x < v->width; x += CHUNK) {
            int64_t count = mmreg_min(CHUNK, v->width - x), first = z * plane + at + x;
            find_cells(&c, field + first, w->voxels, count, z, at / v->width, x, v);
            for (int64_t k = 0; k < w->channels; k++) {
                float *o = out + k * w->voxels + first;
                fetch(image + k * w->voxels, &c, count, around);
                for (int64_t i = 0; i < count; i++) {
                    const float value = value_at(around, &c, i);
                    o[i] = c.reads[i] | v->border ? value : 0.0f;
                }
                if (w->extra) {
                    const float *e = w->extra + sample * w->field_step + k * w->voxels + first;
                    for (int64_t i = 0; i < count; i++) o[i] += e[i];
                }
            }
        }
    }
}

/* One slice of one sample of one channel, with the derivatives by the displacement in `to_field`. */
MMREG_CLONES static void slopes_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / v->depth, z = index % v->depth, plane = v->height * v->width;
    const float *image = w->image + sample * w->image_step, *field = w->field + sample * w->field_step;
    neighbours around;
    cells c;
    for (int64_t at = 0; at < plane; at += v->width) {
        for (int64_t x = 0; x < v->width; x += CHUNK) {
            int64_t count = mmreg_min(CHUNK, v->width - x), first = z * plane + at + x;
            float *o = w->out + sample * w->voxels + first, *s = w->to_field + 3 * sample * w->voxels + first;
            find_cells(&c, field + first, w->voxels, count, z, at / v->width, x, v);
            fetch(image, &c, count, around);
            for (int64_t i = 0; i < count; i++) {
                const float value = value_at(around, &c, i);
                o[i] = c.reads[i] | v->border ? value : 0.0f;
            }
            for (int64_t i = 0; i < count; i++) {
                float by_z, by_y, by_x;
                slopes_at(around, &c, i, &by_z, &by_y, &by_x);
                s[i] = c.reads[i] ? by_z : 0.0f;
                s[i + w->voxels] = c.reads[i] ? by_y : 0.0f;
                s[i + 2 * w->voxels] = c.reads[i] ? by_x : 0.0f;
            }
        }
    }
}

/* Derivative by the displacement, added to `to_field`: one slice of one sample. */
MMREG_CLONES static void field_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / v->depth, z = index % v->depth, plane = v->height * v->width;
    const float *image = w->image + sample * w->image_step, *field = w->field + sample * w->field_step;
    const float *grad = w->grad + sample * w->channels * w->voxels;
    float *out = w->to_field + sample * 3 * w->voxels;
    float sums[3][CHUNK];
    neighbours around;
    cells c;
    for (int64_t at = 0; at < plane; at += v->width) {
        for (int64_t x = 0; x < v->width; x += CHUNK) {
            int64_t count = mmreg_min(CHUNK, v->width - x), first = z * plane + at + x;
            find_cells(&c, field + first, w->voxels, count, z, at / v->width, x, v);
            memset(sums, 0, sizeof sums);
            for (int64_t k = 0; k < w->channels; k++) {
                const float *g = grad + k * w->voxels + first;
                fetch(image + k * w->voxels, &c, count, around);
                for (int64_t i = 0; i < count; i++) {
                    float by_z, by_y, by_x;
                    slopes_at(around, &c, i, &by_z, &by_y, &by_x);
                    sums[0][i] += c.reads[i] ? g[i] * by_z : 0.0f;
                    sums[1][i] += c.reads[i] ? g[i] * by_y : 0.0f;
                    sums[2][i] += c.reads[i] ? g[i] * by_x : 0.0f;
                }
            }
            for (int64_t k = 0; k < 3; k++) {
                float *o = out + k * w->voxels + first;
                for (int64_t i = 0; i < count; i++) o[i] += sums[k][i];
            }
        }
    }
}

/* Into the four neighbours in the slice at `z`; `below` and `above` go to both ends along x. */
MMREG_INSIDE void scatter_slice(float *p, const cells *c, int64_t i, int32_t z, float weight, float below,
                                 float above) {
    float low = c->y.below[i] * weight, high = c->y.above[i] * weight;
    float *a = p + z + c->y.low[i], *b = p + z + c->y.high[i];
    a[c->x.low[i]] += low * below;
    a[c->x.high[i]] += low * above;
    b[c->x.low[i]] += high * below;
    b[c->x.high[i]] += high * above;
}

MMREG_INSIDE void scatter(float *p, const cells *c, int64_t i, float g, int low, int high) {
    float below = c->x.below[i] * g, above = c->x.above[i] * g;
    if (!c->reads[i]) return;
    if (low) scatter_slice(p, c, i, c->z.low[i], c->z.below[i], below, above);
    if (high) scatter_slice(p, c, i, c->z.high[i], c->z.above[i], below, above);
}

/* Derivative by the image, added to `to_image`: what falls into one slab of slices. Every voxel of the image is written
   by one thread only and in the order of the rows, so the sums do not depend on the number of threads. */
MMREG_CLONES static void image_slab(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / w->slabs, slab = index % w->slabs, plane = v->height * v->width;
    int32_t begin = (int32_t)(slab * v->depth / w->slabs), end = (int32_t)((slab + 1) * v->depth / w->slabs);
    int32_t begin_at = begin * (int32_t)plane, end_at = (int32_t)mmreg_min(end * plane, INT32_MAX);
    const float *field = w->field + sample * w->field_step, *grad = w->grad + sample * w->channels * w->voxels;
    float *out = w->to_image + sample * w->channels * w->voxels;
    cells c;
    for (int64_t row = 0; row < v->depth * v->height; row++) {
        const int32_t *range = w->ranges + 2 * (sample * v->depth * v->height + row);
        if (range[0] >= end || range[1] < begin) continue;
        int whole = range[0] >= begin && range[1] < end;
        for (int64_t x = 0; x < v->width; x += CHUNK) {
            int64_t count = mmreg_min(CHUNK, v->width - x), first = row * v->width + x;
            find_cells(&c, field + first, w->voxels, count, row / v->height, row % v->height, x, v);
            for (int64_t k = 0; k < w->channels; k++) {
                const float *g = grad + k * w->voxels + first;
                float *p = out + k * w->voxels;
                if (whole) {
                    for (int64_t i = 0; i < count; i++) scatter(p, &c, i, g[i], 1, 1);
                } else {
                    for (int64_t i = 0; i < count; i++)
                        scatter(p, &c, i, g[i], c.z.low[i] >= begin_at && c.z.low[i] < end_at,
                                c.z.high[i] >= begin_at && c.z.high[i] < end_at);
                }
            }
        }
    }
}

/* image (samples, channels, depth, height, width), field (samples, 3, ...); a step of 0 repeats the first sample.
   out[...] = image(x + field(x)), plus `extra` (laid out as the field, channels 3) where it is given. */
int mmreg_warp_planar(const float *image, const float *field, const float *extra, float *out, int64_t samples,
                      int64_t channels, const int64_t *size, int64_t image_step, int64_t field_step, int border,
                      int threads) {
    job w = {.image = image, .field = field, .extra = extra, .out = out, .channels = channels,
             .voxels = size[0] * size[1] * size[2], .image_step = image_step, .field_step = field_step,
             .v = {size[0], size[1], size[2], 1, border}};
    return mmreg_parallel(warp_slice, &w, samples * size[0], 0, threads);
}

/* The same of one channel, with `slopes` (samples, 3, ...): the derivatives of `out` by the field. */
int mmreg_warp_slopes(const float *image, const float *field, float *out, float *slopes, int64_t samples,
                      const int64_t *size, int64_t image_step, int64_t field_step, int border, int threads) {
    job w = {.image = image, .field = field, .out = out, .to_field = slopes, .channels = 1,
             .voxels = size[0] * size[1] * size[2], .image_step = image_step, .field_step = field_step,
             .v = {size[0], size[1], size[2], 1, border}};
    return mmreg_parallel(slopes_slice, &w, samples * size[0], 0, threads);
}

/* Adds to `to_image` (samples, channels, ...) and to `to_field` (samples, 3, ...); either may be NULL. `ranges` is room
   for 2 * samples * depth * height numbers. */
int mmreg_warp_planar_backward(const float *grad, const float *image, const float *field, float *to_image,
                               float *to_field, int32_t *ranges, int64_t samples, int64_t channels,
                               const int64_t *size, int64_t image_step, int64_t field_step, int border, int threads) {
    job w = {.image = image, .field = field, .grad = grad, .to_image = to_image, .to_field = to_field,
             .channels = channels, .voxels = size[0] * size[1] * size[2], .image_step = image_step,
             .field_step = field_step, .ranges = ranges, .v = {size[0], size[1], size[2], 1, border}};
    int status = to_field ? mmreg_parallel(field_slice, &w, samples * size[0], 0, threads) : MMREG_DONE;
    return status || !to_image ? status : by_slabs(image_slab, &w, samples, threads);
}
