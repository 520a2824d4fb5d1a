/* Jacobian determinant of x + displacement(x) by central differences, one-sided at the border; every operation rounds as
   those of mmreg/spatial/jacobian.py do, in their order. */
#include "common.h"

typedef struct {
    const float *field;
    float *out;
    int64_t depth, height, width;
} job;

/* Differences along one axis are `weight` times what stands `after` less what stands `before`, in voxels from here. */
typedef struct {
    int64_t before, after;
    float weight;
} pair;

MMREG_INSIDE pair pair_at(int64_t i, int64_t n, int64_t step) {
    const int64_t before = i > 0 ? -step : 0, after = i < n - 1 ? step : 0;
    return (pair){before, after, before && after ? 0.5f : 1.0f};
}

MMREG_INSIDE float along(const float *at, pair p) { return (at[p.after] - at[p.before]) * p.weight; }

/* Voxels first .. last - 1 of a row; `f` holds the three components there. */
MMREG_INSIDE void row_part(const float *const *f, float *out, int64_t first, int64_t last, pair z, pair y, pair x) {
    for (int64_t i = first; i < last; i++) {
        const float *p = f[0] + i, *q = f[1] + i, *r = f[2] + i;
        const float a = along(p, z) + 1.0f, p_y = along(p, y), p_x = along(p, x);
        const float q_z = along(q, z), b = along(q, y) + 1.0f, q_x = along(q, x);
        const float r_z = along(r, z), r_y = along(r, y), c = along(r, x) + 1.0f;
        const float minor_a = b * c - q_x * r_y, minor_b = q_z * c - q_x * r_z, minor_c = q_z * r_y - b * r_z;
        out[i] = (a * minor_a - p_y * minor_b) + p_x * minor_c;
    }
}

MMREG_CLONES static void determinant_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *d = context;
    const int64_t plane = d->height * d->width, voxels = d->depth * plane, w = d->width;
    const int64_t sample = index / d->depth, z = index % d->depth;
    const pair by_z = pair_at(z, d->depth, plane), inside = {-1, 1, 0.5f};
    for (int64_t y = 0; y < d->height; y++) {
        const float *first = d->field + 3 * sample * voxels + z * plane + y * w;
        const float *const f[3] = {first, first + voxels, first + 2 * voxels};
        float *out = d->out + sample * voxels + z * plane + y * w;
        const pair by_y = pair_at(y, d->height, w);
        row_part(f, out, 0, 1, by_z, by_y, pair_at(0, w, 1));
        row_part(f, out, 1, w - 1, by_z, by_y, inside);
        row_part(f, out, w - 1, w, by_z, by_y, pair_at(w - 1, w, 1));
    }
}

/* field (samples, 3, depth, height, width), at least two voxels along each axis; out (samples, depth, height, width). */
int mmreg_determinant(const float *field, float *out, int64_t samples, const int64_t *size, int threads) {
    job d = {field, out, size[0], size[1], size[2]};
    return mmreg_parallel(determinant_slice, &d, samples * size[0], 0, threads);
}
