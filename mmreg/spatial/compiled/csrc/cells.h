/* Displaced positions, some voxels of a row at a time: the eight voxels around each and their weights. */
#ifndef MMREG_CELLS_H
#define MMREG_CELLS_H

#include "common.h"

#define CHUNK 64

/* One axis. `low`, `high`: index of both neighbours times `stride`, inside the volume; `below`, `above`: their weights,
   0 outside the volume; `slope_below`, `slope_above`: derivatives of the weights by the displacement; `reads`: 1 where
   at least one neighbour lies inside the volume, else 0. */
typedef struct {
    int32_t low[CHUNK], high[CHUNK], reads[CHUNK];
    float below[CHUNK], above[CHUNK], slope_below[CHUNK], slope_above[CHUNK];
} axis_cells;

/* `reads`: 1 where at least one of the eight neighbours lies inside the volume. Elsewhere nothing may be read or
   written: zero times what is not finite is not zero. */
typedef struct {
    axis_cells z, y, x;
    int32_t reads[CHUNK];
} cells;

typedef struct {
    int64_t depth, height, width; /* of the volume, which is also the grid of the displacement */
    int64_t stride;               /* elements from voxel to voxel along x: 1, or the channels where they lie inside */
    int border;                   /* the nearest voxel outside, instead of zeros */
} volume;

/* Half the extent as torch counts it: 1 for a single voxel. */
MMREG_INSIDE float half_extent(int64_t n) { return n > 1 ? (float)(n - 1) / 2.0f : 1.0f; }

/* `index` + i * `step` is the undisplaced coordinate of voxel i. The position takes the way over normalised
   coordinates, step by step as torch.grid_sample does, so that both read at exactly the same place. */
MMREG_INSIDE void find_axis(axis_cells *out, const float *displacement, int64_t count, float index, float step,
                             int64_t n, int64_t stride, int border) {
    const float half = half_extent(n), extent = (float)(n - 1), bottom = border ? 0.0f : -1.0f;
    const float top = border ? extent : (float)n;
    const int32_t last = (int32_t)n - 1, pitch = (int32_t)stride;
    for (int64_t i = 0; i < count; i++) {
        float normalised = (displacement[i] + (index + (float)(int32_t)i * step)) / half - 1.0f;
        float raw = (normalised + 1.0f) / 2.0f * extent;
        float position = raw <= top ? raw : top; /* also where it is not a number: grid_sample reads the last voxel */
        position = position >= bottom ? position : bottom;
        int32_t floor = (int32_t)position;
        floor -= position < (float)floor;
        float fraction = position - (float)floor;
        int32_t next = floor + 1;
        float in_low = floor >= 0 && floor <= last ? 1.0f : 0.0f, in_high = next <= last ? 1.0f : 0.0f;
        float moves = n > 1 && (border ? raw > 0.0f && raw < extent : raw >= bottom && raw < top) ? 1.0f : 0.0f;
        int32_t low = floor < 0 ? 0 : floor, high = next < 0 ? 0 : next;
        out->reads[i] = border ? raw == raw : (raw >= bottom) & (raw < top);
        out->low[i] = (low > last ? last : low) * pitch;
        out->high[i] = (high > last ? last : high) * pitch;
        out->below[i] = (1.0f - fraction) * in_low;
        out->above[i] = fraction * in_high;
        out->slope_below[i] = -in_low * moves;
        out->slope_above[i] = in_high * moves;
    }
}

/* The cells of `count` voxels from (z, y, x) on. `field` is the z component there; the components lie `voxels` apart. */
MMREG_INSIDE void find_cells(cells *out, const float *field, int64_t voxels, int64_t count, int64_t z, int64_t y,
                              int64_t x, const volume *v) {
    const int64_t row = v->width * v->stride;
    find_axis(&out->z, field, count, (float)z, 0.0f, v->depth, v->height * row, v->border);
    find_axis(&out->y, field + voxels, count, (float)y, 0.0f, v->height, row, v->border);
    find_axis(&out->x, field + 2 * voxels, count, (float)x, 1.0f, v->width, v->stride, v->border);
    for (int64_t i = 0; i < count; i++) out->reads[i] = out->z.reads[i] & out->y.reads[i] & out->x.reads[i];
}

/* Derivatives, by the three components of the displacement, of the value between eight neighbours `p` (x fastest). */
MMREG_INSIDE void slopes_of(const cells *c, int64_t i, const float *p, float *by_z, float *by_y, float *by_x) {
    float xb = c->x.below[i], xa = c->x.above[i], sb = c->x.slope_below[i], sa = c->x.slope_above[i];
    float yb = c->y.below[i], ya = c->y.above[i], zb = c->z.below[i], za = c->z.above[i];
    float v0 = xb * p[0] + xa * p[1], v1 = xb * p[2] + xa * p[3];
    float v2 = xb * p[4] + xa * p[5], v3 = xb * p[6] + xa * p[7];
    float s0 = sb * p[0] + sa * p[1], s1 = sb * p[2] + sa * p[3];
    float s2 = sb * p[4] + sa * p[5], s3 = sb * p[6] + sa * p[7];
    *by_z = c->z.slope_below[i] * (yb * v0 + ya * v1) + c->z.slope_above[i] * (yb * v2 + ya * v3);
    *by_y = zb * (c->y.slope_below[i] * v0 + c->y.slope_above[i] * v1) +
            za * (c->y.slope_below[i] * v2 + c->y.slope_above[i] * v3);
    *by_x = zb * (yb * s0 + ya * s1) + za * (yb * s2 + ya * s3);
}

/* First and last slice that the voxels of a row read from. */
MMREG_INSIDE void slice_range(const float *field, int64_t count, int64_t z, const volume *v, int32_t *first,
                               int32_t *last) {
    axis_cells cell;
    int32_t low = INT32_MAX, high = -1;
    for (int64_t i = 0; i < count; i += CHUNK) {
        int64_t part = mmreg_min(CHUNK, count - i);
        find_axis(&cell, field + i, part, (float)z, 0.0f, v->depth, 1, v->border);
        for (int64_t k = 0; k < part; k++) {
            low = cell.low[k] < low ? cell.low[k] : low;
            high = cell.high[k] > high ? cell.high[k] : high;
        }
    }
    *first = low;
    *last = high;
}

#endif
