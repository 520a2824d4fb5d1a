/* Difference of two self-similarity descriptors (see mmreg/models/losses/self_similarity.py): its value, and its
   derivatives by the maps that the descriptors are made of. Two passes over the tiles: the mean spread of each image,
   which every voxel depends on; then everything else. */
#include "decay.h"
#include "self_similarity.h"

typedef struct {
    grid g;
    const float *image[2], *mask;
    float *maps[2]; /* (volumes, count, ...): derivatives by the maps, but for the part of the mean spread; or NULL */
    int32_t *lowest[2]; /* bit k: map k is the smallest */
    double *totals;     /* one per task of the first pass, then SUMS per task of the second */
    float lowest_factor, highest_factor, floor, weight, middle[2];
    int squared;
} job;

/* Of a tile: value, and derivative by the lowest and by the highest spread allowed, of either image. */
enum { VALUE, BY_LOW, BY_HIGH, SUMS = 5 };

/* Sums of the squared differences of the slice `next`, for every map. */
MMREG_INSIDE void take_slice(sweep *s, const float *image) {
    const grid *g = s->g;
    float *middle = s->line + g->radius;
    for (int64_t k = 0; k < g->count; k++) {
        for (int64_t y = s->first; y < s->last; y++) {
            difference_row(g, image, k, s->next, y, middle);
            for (int64_t i = 0; i < g->width; i++) middle[i] *= middle[i];
            for (int64_t i = 0; i < g->radius; i++) {
                s->line[i] = middle[0];
                middle[g->width + i] = middle[g->width - 1];
            }
            sum_line(s, s->rows + (y - s->first) * g->width);
        }
        settle(s, k);
    }
    s->next++;
}

/* Row y: how far every map is above the smallest one, and the mean of that. */
MMREG_INSIDE void distances(sweep *s, int64_t y, float *restrict maps, float *restrict spread,
                            float *restrict smallest) {
    const grid *g = s->g;
    const int64_t n = g->width;
    const float mean = 1.0f / (float)g->count;
    const float scale = 1.0f / (float)((2 * g->radius + 1) * (2 * g->radius + 1) * ring_depth(g));
    for (int64_t k = 0; k < g->count; k++) {
        float *map = maps + k * n;
        gather(s, k, y, map);
        if (k == 0)
            for (int64_t i = 0; i < n; i++) smallest[i] = map[i];
        else
            for (int64_t i = 0; i < n; i++) smallest[i] = map[i] < smallest[i] ? map[i] : smallest[i];
    }
    for (int64_t i = 0; i < n; i++) spread[i] = 0.0f;
    for (int64_t k = 0; k < g->count; k++) {
        float *map = maps + k * n;
        for (int64_t i = 0; i < n; i++) {
            map[i] = (map[i] - smallest[i]) * scale;
            spread[i] += map[i];
        }
    }
    for (int64_t i = 0; i < n; i++) spread[i] *= mean;
}

MMREG_INSIDE tile tile_of(const grid *g, int64_t index) {
    return tile_at(g, index / (g->slabs * g->blocks), index / g->blocks % g->slabs, index % g->blocks);
}

MMREG_CLONES static void spread_tile(void *context, int64_t index, void *room) {
    const job *c = context;
    const grid *g = &c->g;
    const int side = (int)(index % 2);
    sweep s = open_sweep(g, tile_of(g, index / 2), 0, room);
    const float *image = c->image[side] + s.t.volume * g->depth * g->height * g->pitch;
    float *maps = (float *)((char *)room + room_of_sweep(g)), *spread = maps + g->count * g->width;
    double total = 0;
    for (int64_t z = s.t.z0; z < s.t.z1; z++) {
        while (wants_slice(&s, z)) take_slice(&s, image);
        aim(&s, z);
        for (int64_t y = s.t.y0; y < s.t.y1; y++) {
            distances(&s, y, maps, spread, spread + g->width);
            float lanes[16] = {0};
            int64_t at = 0;
            for (; at + 16 <= g->width; at += 16)
                for (int i = 0; i < 16; i++) lanes[i] += spread[at + i];
            for (int i = 0; at < g->width; i++, at++) lanes[i] += spread[at];
            for (int i = 0; i < 16; i++) total += lanes[i];
        }
    }
    c->totals[index] = total;
}

/* Room of one image for a row, each of `width` numbers but the maps. */
typedef struct {
    float *maps, *spread, *inverse, *by_exponent, *by_weight, *ties;
} side_row;

enum { SIDE_ROWS = 5 };

MMREG_INSIDE void normalise(const job *c, int side, const side_row *r) {
    const int64_t n = c->g.width;
    const float low = c->lowest_factor * c->middle[side], high = c->highest_factor * c->middle[side];
    for (int64_t i = 0; i < n; i++) {
        float v = r->spread[i] < low ? low : r->spread[i];
        v = v > high ? high : v;
        r->inverse[i] = 1.0f / (v < c->floor ? c->floor : v);
        r->by_exponent[i] = r->by_weight[i] = r->ties[i] = 0.0f;
    }
    for (int64_t k = 0; k < c->g.count; k++)
        for (int64_t i = 0; i < n; i++) r->maps[k * n + i] *= r->inverse[i];
}

/* Where pair k is the most similar one, whose exponent is 0. */
MMREG_INSIDE void mark_lowest(const float *restrict exponent, int64_t k, int64_t n, int32_t *restrict lowest,
                              float *restrict ties) {
    const int32_t bit = (int32_t)(1u << k);
    for (int64_t i = 0; i < n; i++) {
        lowest[i] |= exponent[i] == 0.0f ? bit : 0;
        ties[i] += exponent[i] == 0.0f ? 1.0f : 0.0f;
    }
}

/* Take in one pair of one image: the loss's derivative by the descriptor times the descriptor replaces the exponent. */
MMREG_INSIDE void gather_terms(float *restrict map, const float *restrict descriptor, const float *restrict slope,
                               float sign, int64_t n, float *restrict by_exponent, float *restrict by_weight) {
    for (int64_t i = 0; i < n; i++) {
        float term = descriptor[i] * slope[i] * sign;
        by_exponent[i] += term * map[i];
        by_weight[i] += term;
        map[i] = term;
    }
}

/* From the terms to the derivatives by the maps. What a spread that was clamped passes on to the mean spread goes to
   `by_low` and `by_high`. */
MMREG_INSIDE void derive(const job *c, int side, const side_row *r, const int32_t *lowest, float *restrict to,
                         double *restrict by_low, double *restrict by_high) {
    const int64_t n = c->g.width, count = c->g.count;
    const float low = c->lowest_factor * c->middle[side], high = c->highest_factor * c->middle[side];
    float *restrict shared = r->by_exponent, *restrict total = r->by_weight;
    for (int64_t i = 0; i < n; i++) {
        float spread = r->spread[i], inverse = r->inverse[i];
        int is_low = spread < low, is_high = spread > high;
        float clamped = is_low ? low : is_high ? high : spread;
        float by_clamped = clamped >= c->floor ? shared[i] * inverse : 0.0f;
        by_low[i] += is_low ? by_clamped : 0.0f;
        by_high[i] += is_high ? by_clamped : 0.0f;
        float inside = is_low | is_high ? 0.0f : by_clamped;
        shared[i] = inside / (float)count;
        total[i] = (inside - total[i] * inverse) / r->ties[i];
    }
    for (int64_t k = 0; k < count; k++) {
        const float *term = r->maps + k * n;
        float *restrict out = to + k * c->g.voxels;
        for (int64_t i = 0; i < n; i++)
            out[i] = shared[i] - term[i] * r->inverse[i] - (lowest[i] >> k & 1 ? total[i] : 0.0f);
    }
}

/* One row, `at` of its volume, whose exponents are in `rows`. */
MMREG_INSIDE void compare_row(const job *c, int64_t volume, int64_t at, const side_row *rows, float *restrict room,
                              double *restrict sums) {
    const grid *g = &c->g;
    const int64_t n = g->width;
    float *restrict slope = room, *restrict value = room + n, *restrict a = room + 2 * n, *restrict b = room + 3 * n;
    const float *mask = c->mask ? c->mask + volume * g->voxels + at : NULL;
    float *descriptor[2] = {a, b};
    for (int64_t i = 0; i < n; i++) value[i] = 0.0f;
    for (int side = 0; side < 2; side++)
        if (c->maps[side]) memset(c->lowest[side] + volume * g->voxels + at, 0, (size_t)n * sizeof(int32_t));
    for (int64_t k = 0; k < g->count; k++) {
        const float *first = rows[0].maps + k * n, *second = rows[1].maps + k * n;
        for (int64_t i = 0; i < n; i++) a[i] = decay(first[i]);
        for (int64_t i = 0; i < n; i++) b[i] = decay(second[i]);
        for (int64_t i = 0; i < n; i++) {
            float difference = a[i] - b[i], sign = (float)((difference > 0.0f) - (difference < 0.0f));
            value[i] += c->squared ? difference * difference : difference * sign;
            slope[i] = c->squared ? 2.0f * difference : sign;
        }
        if (mask)
            for (int64_t i = 0; i < n; i++) slope[i] *= mask[i] * c->weight;
        else
            for (int64_t i = 0; i < n; i++) slope[i] *= c->weight;
        for (int side = 0; side < 2; side++) {
            const side_row *r = rows + side;
            if (!c->maps[side]) continue;
            mark_lowest(r->maps + k * n, k, n, c->lowest[side] + volume * g->voxels + at, r->ties);
            gather_terms(r->maps + k * n, descriptor[side], slope, side ? -1.0f : 1.0f, n, r->by_exponent,
                         r->by_weight);
        }
    }
    for (int64_t i = 0; i < n; i++) sums[VALUE * n + i] += mask ? value[i] * mask[i] : value[i];
    for (int side = 0; side < 2; side++)
        if (c->maps[side])
            derive(c, side, rows + side, c->lowest[side] + volume * g->voxels + at,
                   c->maps[side] + volume * g->count * g->voxels + at, sums + (BY_LOW + 2 * side) * n,
                   sums + (BY_HIGH + 2 * side) * n);
}

MMREG_CLONES static void compare_tile(void *context, int64_t index, void *memory) {
    const job *c = context;
    const grid *g = &c->g;
    const int64_t n = g->width;
    char *second = (char *)memory + room_of_sweep(g);
    sweep s[2] = {open_sweep(g, tile_of(g, index), 0, memory), open_sweep(g, tile_of(g, index), 0, second)};
    double *sums = (double *)(second + room_of_sweep(g));
    float *room = (float *)(sums + SUMS * n);
    for (int64_t i = 0; i < SUMS * n; i++) sums[i] = 0.0;
    side_row rows[2];
    for (int side = 0; side < 2; side++) {
        float *own = room + (4 + side * (g->count + SIDE_ROWS)) * n, *more = own + g->count * n;
        rows[side] = (side_row){own, more, more + n, more + 2 * n, more + 3 * n, more + 4 * n};
    }
    const tile t = s[0].t;
    for (int64_t z = t.z0; z < t.z1; z++) {
        for (int side = 0; side < 2; side++) {
            const float *image = c->image[side] + t.volume * g->depth * g->height * g->pitch;
            while (wants_slice(s + side, z)) take_slice(s + side, image);
            aim(s + side, z);
        }
        for (int64_t y = t.y0; y < t.y1; y++) {
            for (int side = 0; side < 2; side++) {
                distances(s + side, y, rows[side].maps, rows[side].spread, rows[side].inverse);
                normalise(c, side, rows + side);
            }
            compare_row(c, t.volume, (z * g->height + y) * n, rows, room, sums);
        }
    }
    for (int q = 0; q < SUMS; q++) {
        double total = 0;
        for (int64_t i = 0; i < n; i++) total += sums[q * n + i];
        c->totals[SUMS * index + q] = total;
    }
}

/* first, second (volumes, depth, height, pitch) with repeated ends of rows, mask (volumes, depth, height, width) or
   NULL; `first_maps`, `second_maps` (volumes, count, depth, height, width) and `first_lowest`, `second_lowest`
   (volumes, depth, height, width) get the derivatives, or are NULL. `size`, `pairs`: see grid_of. `limits`: factors of
   the mean spread that a spread stays within, the lowest, and the weight of a voxel. `results`: the sum of the
   differences, and the derivative by the mean spread of either image. */
int mmreg_self_similarity(const float *first, const float *second, const float *mask, float *first_maps,
                          float *second_maps, int32_t *first_lowest, int32_t *second_lowest, double *results,
                          const int64_t *size, const int64_t *pairs, const float *limits, int squared, int threads) {
    job c = {.g = grid_of(size, pairs), .image = {first, second}, .mask = mask, .maps = {first_maps, second_maps},
             .lowest = {first_lowest, second_lowest}, .lowest_factor = limits[0], .highest_factor = limits[1],
             .floor = limits[2], .weight = limits[3], .squared = squared};
    const int64_t tiles = tiles_of(&c.g);
    double sums[SUMS] = {0};
    const int64_t spread_room = room_of_sweep(&c.g) + MMREG_FLOATS((c.g.count + 2) * c.g.width);
    const int64_t rows = (4 + 2 * (c.g.count + SIDE_ROWS)) * c.g.width;
    const int64_t sums_room = SUMS * c.g.width * (int64_t)sizeof(double);
    const int64_t compare_room = 2 * room_of_sweep(&c.g) + sums_room + MMREG_FLOATS(rows);
    c.totals = malloc((size_t)(SUMS * tiles) * sizeof(double));
    if (!c.totals) return MMREG_NO_MEMORY;
    int status = mmreg_parallel(spread_tile, &c, 2 * tiles, spread_room, threads);
    for (int side = 0; side < 2 && !status; side++) {
        double total = 0;
        for (int64_t i = 0; i < tiles; i++) total += c.totals[2 * i + side];
        c.middle[side] = (float)(total / (double)(c.g.volumes * c.g.voxels));
    }
    if (!status) status = mmreg_parallel(compare_tile, &c, tiles, compare_room, threads);
    for (int64_t i = 0; i < tiles && !status; i++)
        for (int q = 0; q < SUMS; q++) sums[q] += c.totals[SUMS * i + q];
    free(c.totals);
    results[0] = sums[VALUE] * limits[3];
    for (int side = 0; side < 2; side++)
        results[1 + side] = limits[0] * sums[BY_LOW + 2 * side] + limits[1] * sums[BY_HIGH + 2 * side];
    return status;
}
