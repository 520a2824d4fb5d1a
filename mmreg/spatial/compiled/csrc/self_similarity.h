/* Window sums of many maps of one image at once, slice after slice of a tile, so that all of them stay in the cache. */
#ifndef MMREG_SELF_SIMILARITY_H
#define MMREG_SELF_SIMILARITY_H

#include "common.h"

/* Slices of a tile, and the numbers that the window of one image may fill. */
#define SLAB 32
#define WINDOW_ROOM (160 * 1024)

/* Images are (volumes, depth, height, pitch): each row has `margin` copies of its ends at either side. */
typedef struct {
    int64_t volumes, depth, height, width, margin, pitch, voxels, count;
    int64_t radius_z, radius;
    const int64_t *pairs; /* (count, 2, 3): what a map compares, voxels */
    int64_t slab, block, slabs, blocks;
} grid;

typedef struct {
    int64_t volume, z0, z1, y0, y1;
} tile;

MMREG_INSIDE int64_t clamp_index(int64_t i, int64_t n) { return i < 0 ? 0 : i < n ? i : n - 1; }

/* `size`: volumes, depth, height, width, margin, count, window radius along z and in the slice. Tiles depend on nothing
   else, and are at least twice the margin deep and high, or as high as the image. */
static inline grid grid_of(const int64_t *size, const int64_t *pairs) {
    grid g = {.volumes = size[0], .depth = size[1], .height = size[2], .width = size[3], .margin = size[4],
              .pitch = size[3] + 2 * size[4], .voxels = size[1] * size[2] * size[3], .count = size[5],
              .radius_z = size[6], .radius = size[7], .pairs = pairs};
    int64_t rows = WINDOW_ROOM / (g.count * (2 * g.radius_z + 1) * g.width);
    g.slab = mmreg_max(SLAB, 2 * g.margin);
    g.block = mmreg_min(mmreg_max(mmreg_min(mmreg_max(rows, 4), 32), 2 * g.margin), g.height);
    g.slabs = (g.depth + g.slab - 1) / g.slab;
    g.blocks = (g.height + g.block - 1) / g.block;
    return g;
}

static inline int64_t tiles_of(const grid *g) { return g->volumes * g->slabs * g->blocks; }

static inline tile tile_at(const grid *g, int64_t volume, int64_t slab, int64_t block) {
    return (tile){volume, slab * g->slab, mmreg_min((slab + 1) * g->slab, g->depth), block * g->block,
                  mmreg_min((block + 1) * g->block, g->height)};
}

/* Out = sum of `terms` >= 1 rows. */
MMREG_INSIDE void add_rows(const float *const *rows, int64_t terms, float *restrict out, int64_t count) {
    const float *a = rows[0];
    int64_t t = 1;
    if (terms >= 5) {
        const float *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4];
        for (int64_t i = 0; i < count; i++) out[i] = ((a[i] + b[i]) + (c[i] + d[i])) + e[i];
        t = 5;
    } else if (terms >= 3) {
        const float *b = rows[1], *c = rows[2];
        for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i] + c[i];
        t = 3;
    } else {
        memcpy(out, a, (size_t)count * sizeof(float));
    }
    for (; t + 2 <= terms; t += 2) {
        const float *b = rows[t], *c = rows[t + 1];
        for (int64_t i = 0; i < count; i++) out[i] += b[i] + c[i];
    }
    if (t < terms)
        for (int64_t i = 0; i < count; i++) out[i] += rows[t][i];
}

/* How many indices a window reads at most, repetitions counted. */
static inline int64_t most_terms(int64_t radius) { return (radius + 1) * (radius + 2); }

/* The indices whose values add up to the window sum at `at` of n, with the border repeated outside; or, transposed, the
   ones whose windows read `at`. Several reads are listed several times. */
MMREG_INSIDE int64_t window_indices(int64_t *list, int64_t at, int64_t n, int64_t radius, int transposed) {
    int64_t terms = 0;
    if (!transposed) {
        for (int64_t j = at - radius; j <= at + radius; j++) list[terms++] = clamp_index(j, n);
        return terms;
    }
    for (int64_t j = mmreg_max(0, at - radius); j <= mmreg_min(n - 1, at + radius); j++) {
        int64_t reads = 1 + (at == 0 ? mmreg_max(0, radius - j) : 0);
        reads += at == n - 1 ? mmreg_max(0, radius - (n - 1 - j)) : 0;
        while (reads--) list[terms++] = j;
    }
    return terms;
}

/* The sums of a tile: a ring of the slices in the window along z, each already summed within the slice. */
typedef struct {
    const grid *g;
    tile t;
    int transposed;
    int64_t first, last, next; /* rows that the tile reads; the slice that enters the window next */
    int64_t depth_terms, *depth_offsets, most, *row_terms, *row_offsets;
    const float **from;
    float *line, *rows, *ring;
} sweep;

static inline int64_t ring_depth(const grid *g) { return 2 * g->radius_z + 1; }

static inline int64_t most_indices(const grid *g) { return most_terms(mmreg_max(g->radius, g->radius_z)); }

/* Bytes that a sweep works in, a multiple of eight. */
static inline int64_t room_of_sweep(const grid *g) {
    const int64_t lists = 2 * most_indices(g) + g->block * (most_indices(g) + 1);
    const int64_t rows = mmreg_min(g->height, g->block + 2 * g->radius);
    const int64_t numbers = g->width + 2 * g->radius + (rows + g->count * ring_depth(g) * g->block) * g->width;
    return (lists + (numbers + 1) / 2) * (int64_t)sizeof(int64_t);
}

/* `room` holds room_of_sweep(g) bytes. */
static inline sweep open_sweep(const grid *g, tile t, int transposed, void *room) {
    sweep s = {.g = g, .t = t, .transposed = transposed, .next = mmreg_max(0, t.z0 - g->radius_z)};
    s.first = mmreg_max(0, t.y0 - g->radius);
    s.last = mmreg_min(g->height, t.y1 + g->radius);
    s.most = most_indices(g);
    s.from = room;
    s.depth_offsets = (int64_t *)room + s.most;
    s.row_terms = s.depth_offsets + s.most;
    s.row_offsets = s.row_terms + g->block;
    s.line = (float *)(s.row_offsets + g->block * s.most);
    s.rows = s.line + g->width + 2 * g->radius;
    s.ring = s.rows + (s.last - s.first) * g->width;
    for (int64_t y = t.y0; y < t.y1; y++) {
        int64_t *list = s.row_offsets + (y - t.y0) * s.most;
        int64_t terms = s.row_terms[y - t.y0] = window_indices(list, y, g->height, g->radius, transposed);
        for (int64_t i = 0; i < terms; i++) list[i] = (list[i] - s.first) * g->width;
    }
    return s;
}

/* Whether another slice has to be summed, into the ring by `settle`, before the sums at z can be had. */
static inline int wants_slice(const sweep *s, int64_t z) {
    return s->next <= mmreg_min(z + s->g->radius_z, s->g->depth - 1);
}

/* From now on `gather` gives the sums at z. */
static inline void aim(sweep *s, int64_t z) {
    const grid *g = s->g;
    s->depth_terms = window_indices(s->depth_offsets, z, g->depth, g->radius_z, s->transposed);
    for (int64_t i = 0; i < s->depth_terms; i++)
        s->depth_offsets[i] = s->depth_offsets[i] % ring_depth(g) * g->block * g->width;
}

/* `line` has one row of a map with `radius` more at either side; its sums go to that row of `rows`. */
MMREG_INSIDE void sum_line(sweep *s, float *restrict out) {
    for (int64_t i = 0; i < 2 * s->g->radius + 1; i++) s->from[i] = s->line + i;
    add_rows(s->from, 2 * s->g->radius + 1, out, s->g->width);
}

/* Sums across the rows of map k, into the ring as slice `next`. */
MMREG_INSIDE void settle(sweep *s, int64_t k) {
    const grid *g = s->g;
    float *out = s->ring + (k * ring_depth(g) + s->next % ring_depth(g)) * g->block * g->width;
    for (int64_t y = 0; y < s->t.y1 - s->t.y0; y++) {
        const int64_t *offsets = s->row_offsets + y * s->most;
        for (int64_t i = 0; i < s->row_terms[y]; i++) s->from[i] = s->rows + offsets[i];
        add_rows(s->from, s->row_terms[y], out + y * g->width, g->width);
    }
}

/* The whole sums of map k in row y. */
MMREG_INSIDE void gather(sweep *s, int64_t k, int64_t y, float *restrict out) {
    const grid *g = s->g;
    const float *base = s->ring + (k * ring_depth(g) * g->block + y - s->t.y0) * g->width;
    for (int64_t i = 0; i < s->depth_terms; i++) s->from[i] = base + s->depth_offsets[i];
    add_rows(s->from, s->depth_terms, out, g->width);
}

/* Difference of the two voxels that map k compares, along row (z, y) of a volume. */
MMREG_INSIDE void difference_row(const grid *g, const float *image, int64_t k, int64_t z, int64_t y,
                                 float *restrict out) {
    const int64_t *p = g->pairs + 6 * k, *q = p + 3;
    const float *a = image + g->margin + p[2], *b = image + g->margin + q[2];
    a += (clamp_index(z + p[0], g->depth) * g->height + clamp_index(y + p[1], g->height)) * g->pitch;
    b += (clamp_index(z + q[0], g->depth) * g->height + clamp_index(y + q[1], g->height)) * g->pitch;
    for (int64_t i = 0; i < g->width; i++) out[i] = a[i] - b[i];
}

#endif
