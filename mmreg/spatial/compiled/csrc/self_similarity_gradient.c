/* Gradient by an image of what is known by the maps of squared differences that self_similarity.c makes. */
#include "self_similarity.h"

typedef struct {
    grid g;
    const float *image, *maps;
    const int32_t *lowest;
    float *out, by_spread; /* derivative by the spread of every voxel that comes from the mean spread */
    int64_t odd_slabs, odd_blocks;
} job;

/* row[i + shift] += sign * step[i], the ends standing for what lies beyond them. */
MMREG_INSIDE void add_shifted(float *restrict row, const float *restrict step, int64_t n, int64_t shift, float sign) {
    const int64_t begin = mmreg_min(n, mmreg_max(0, -shift)), end = mmreg_max(0, mmreg_min(n, n - shift));
    float before = 0.0f, after = 0.0f;
    for (int64_t i = begin; i < end; i++) row[i + shift] += sign * step[i];
    for (int64_t i = 0; i < begin; i++) before += step[i];
    for (int64_t i = end; i < n; i++) after += step[i];
    row[0] += sign * before;
    row[n - 1] += sign * after;
}

/* What every smallest map of a voxel has to give off of the derivative by the mean spread: rows first .. last - 1. */
MMREG_INSIDE void share_rows(const job *c, const sweep *s, float *restrict share) {
    const int64_t n = c->g.width, rows = s->last - s->first;
    const int32_t *lowest = c->lowest + s->t.volume * c->g.voxels + (s->next * c->g.height + s->first) * n;
    for (int64_t i = 0; i < rows * n; i++) {
        int32_t ties = 0;
        for (int64_t k = 0; k < 32; k++) ties += lowest[i] >> k & 1;
        share[i] = c->by_spread / (float)ties;
    }
}

/* The transposed sums of the slice `next`, for every map. */
MMREG_INSIDE void take_slice(const job *c, sweep *s, float *restrict share) {
    const grid *g = s->g;
    const int64_t n = g->width, radius = g->radius, reach = mmreg_min(radius, n);
    const float mean = c->by_spread / (float)g->count;
    float *middle = s->line + radius;
    if (c->by_spread != 0.0f) share_rows(c, s, share);
    for (int64_t k = 0; k < g->count; k++) {
        for (int64_t y = s->first; y < s->last; y++) {
            const int64_t at = (s->next * g->height + y) * n, row = (y - s->first) * n;
            const float *map = c->maps + (s->t.volume * g->count + k) * g->voxels + at;
            const int32_t *lowest = c->lowest + s->t.volume * g->voxels + at;
            float *out = s->rows + row;
            if (c->by_spread != 0.0f)
                for (int64_t i = 0; i < n; i++)
                    middle[i] = map[i] + mean - (lowest[i] >> k & 1 ? share[row + i] : 0.0f);
            else
                memcpy(middle, map, (size_t)n * sizeof(float));
            sum_line(s, out);
            for (int64_t j = 0; j < reach; j++) {
                out[0] += (float)(radius - j) * middle[j];
                out[n - 1] += (float)(radius - j) * middle[n - 1 - j];
            }
        }
        settle(s, k);
    }
    s->next++;
}

/* Writes to the tile and as far beyond as pairs reach. */
MMREG_CLONES static void gradient_tile(void *context, int64_t index, void *memory) {
    const job *c = context;
    const grid *g = &c->g;
    const int64_t n = g->width, blocks = (g->blocks + 1 - c->odd_blocks) / 2, slabs = (g->slabs + 1 - c->odd_slabs) / 2;
    const int64_t slab = 2 * (index / blocks % slabs) + c->odd_slabs, block = 2 * (index % blocks) + c->odd_blocks;
    sweep s = open_sweep(g, tile_at(g, index / (blocks * slabs), slab, block), 1, memory);
    const float *image = c->image + s.t.volume * g->depth * g->height * g->pitch;
    float *out = c->out + s.t.volume * g->voxels, *room = (float *)((char *)memory + room_of_sweep(g));
    float *restrict step = room, *restrict sums = room + n, *share = room + 2 * n;
    const float scale = 2.0f / (float)((2 * g->radius + 1) * (2 * g->radius + 1) * ring_depth(g));
    memset(s.line, 0, (size_t)(n + 2 * g->radius) * sizeof(float));
    for (int64_t z = s.t.z0; z < s.t.z1; z++) {
        while (wants_slice(&s, z)) take_slice(c, &s, share);
        aim(&s, z);
        for (int64_t y = s.t.y0; y < s.t.y1; y++) {
            for (int64_t k = 0; k < g->count; k++) {
                const int64_t *p = g->pairs + 6 * k;
                gather(&s, k, y, sums);
                difference_row(g, image, k, z, y, step);
                for (int64_t i = 0; i < n; i++) step[i] *= sums[i] * scale;
                for (int side = 0; side < 2; side++, p += 3) {
                    int64_t row = clamp_index(z + p[0], g->depth) * g->height + clamp_index(y + p[1], g->height);
                    add_shifted(out + row * n, step, n, p[2], side ? -1.0f : 1.0f);
                }
            }
        }
    }
}

/* image (volumes, depth, height, pitch), `maps` and `lowest` as mmreg_self_similarity left them; the gradient is added
   to `out` (volumes, depth, height, width). Tiles side by side write to the same voxels, so every second one along
   either axis is done at a time: whatever the number of threads, a voxel is added to in the same order. */
int mmreg_self_similarity_gradient(const float *image, const float *maps, const int32_t *lowest, float *out,
                                   const int64_t *size, const int64_t *pairs, float by_spread, int threads) {
    job c = {.g = grid_of(size, pairs), .image = image, .maps = maps, .lowest = lowest, .out = out,
             .by_spread = by_spread};
    const int64_t rows = 2 + mmreg_min(c.g.height, c.g.block + 2 * c.g.radius);
    const int64_t room = room_of_sweep(&c.g) + MMREG_FLOATS(rows * c.g.width);
    for (int turn = 0; turn < 4; turn++) {
        c.odd_slabs = turn / 2;
        c.odd_blocks = turn % 2;
        int64_t slabs = (c.g.slabs + 1 - c.odd_slabs) / 2, blocks = (c.g.blocks + 1 - c.odd_blocks) / 2;
        int status = mmreg_parallel(gradient_tile, &c, c.g.volumes * slabs * blocks, room, threads);
        if (status) return status;
    }
    return MMREG_DONE;
}
