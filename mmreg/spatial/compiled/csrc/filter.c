/* Separable correlation with a short kernel per axis. */
#include "strips.h"

typedef struct {
    const float *in;
    float *out;
    int64_t depth, height, width;
    const float *taps[3];
    int64_t radius[3];
    int border;
} job;

/* Whether an axis is changed at all. */
MMREG_INSIDE int acts(const job *f, int axis) { return f->radius[axis] || f->taps[axis][0] != 1.0f; }

/* The row that stands for row r of n: itself, the nearest one, or none. */
MMREG_INSIDE const float *row_at(const float *rows, int64_t r, int64_t n, int64_t step, int border) {
    if (r >= 0 && r < n) return rows + r * step;
    return border ? rows + (r < 0 ? 0 : n - 1) * step : NULL;
}

/* out row = weighted sum of the rows around row r; `columns` wide. */
MMREG_INSIDE void weigh_rows(const float *rows, int64_t r, int64_t n, int64_t step, const float *taps, int64_t radius,
                              int border, float *restrict out, int64_t columns) {
    const float *middle = rows + r * step;
    for (int64_t i = 0; i < columns; i++) out[i] = taps[radius] * middle[i];
    for (int64_t k = 1; k <= radius; k++) {
        const float *before = row_at(rows, r - k, n, step, border), *after = row_at(rows, r + k, n, step, border);
        float low = taps[radius - k], high = taps[radius + k];
        if (before && after)
            for (int64_t i = 0; i < columns; i++) out[i] += low * before[i] + high * after[i];
        else if (before)
            for (int64_t i = 0; i < columns; i++) out[i] += low * before[i];
        else if (after)
            for (int64_t i = 0; i < columns; i++) out[i] += high * after[i];
    }
}

/* One row along itself; `padded` has room for `radius` more on either side. */
MMREG_INSIDE void weigh_row(const float *in, float *restrict out, int64_t n, const float *taps, int64_t radius,
                             int border, float *restrict padded) {
    for (int64_t k = 0; k < radius; k++) {
        padded[k] = border ? in[0] : 0.0f;
        padded[radius + n + k] = border ? in[n - 1] : 0.0f;
    }
    memcpy(padded + radius, in, (size_t)n * sizeof(float));
    const float *middle = padded + radius;
    for (int64_t i = 0; i < n; i++) out[i] = taps[radius] * middle[i];
    for (int64_t k = 1; k <= radius; k++) {
        float low = taps[radius - k], high = taps[radius + k];
        for (int64_t i = 0; i < n; i++) out[i] += low * middle[i - k] + high * middle[i + k];
    }
}

/* Both axes within a slice. */
MMREG_CLONES static void slice(void *context, int64_t index, void *memory) {
    const job *f = context;
    const int64_t plane = f->height * f->width;
    const float *in = f->in + index * plane;
    float *out = f->out + index * plane;
    float *room = memory, *rows = room + f->width + 2 * f->radius[2];
    float *target = acts(f, 1) ? rows : out;
    for (int64_t at = 0; at < plane; at += f->width)
        weigh_row(in + at, target + at, f->width, f->taps[2], f->radius[2], f->border, room);
    if (acts(f, 1))
        for (int64_t y = 0; y < f->height; y++)
            weigh_rows(rows, y, f->height, f->width, f->taps[1], f->radius[1], f->border, out + y * f->width, f->width);
}

/* Across slices, in place: a strip of columns. */
MMREG_CLONES static void column(void *context, int64_t index, void *memory) {
    const job *f = context;
    const int64_t plane = f->height * f->width;
    const strip s = strip_at(index, plane);
    float *volume = f->out + s.volume * f->depth * plane + s.first, *copy = memory;
    copy_strip(volume, plane, f->depth, s.columns, copy);
    for (int64_t z = 0; z < f->depth; z++)
        weigh_rows(copy, z, f->depth, STRIP, f->taps[0], f->radius[0], f->border, volume + z * plane, s.columns);
}

/* in, out (volumes, depth, height, width); `taps` are the three kernels one after the other, of 2 * radius + 1 each. */
int mmreg_filter(const float *in, float *out, int64_t volumes, const int64_t *size, const float *taps,
                 const int64_t *radius, int border, int threads) {
    const float *second = taps + 2 * radius[0] + 1, *third = second + 2 * radius[1] + 1;
    job f = {in, out, size[0], size[1], size[2], {taps, second, third}, {radius[0], radius[1], radius[2]},
             border};
    const int64_t plane = size[1] * size[2], room = MMREG_FLOATS(plane + f.width + 2 * f.radius[2]);
    int status = mmreg_parallel(slice, &f, volumes * size[0], room, threads);
    if (status || !acts(&f, 0)) return status;
    return mmreg_parallel(column, &f, volumes * strips_of(plane), MMREG_FLOATS(f.depth * STRIP), threads);
}
