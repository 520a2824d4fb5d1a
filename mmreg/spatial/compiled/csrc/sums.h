/* Window sums along the axes of small buffers. Additions only: running differences would lose digits. */
#ifndef MMREG_SUMS_H
#define MMREG_SUMS_H

#include "strips.h"

/* The window of one axis: offsets -before .. after. */
typedef struct {
    int64_t before, after;
} window;

MMREG_INSIDE int64_t width_of(window w) { return w.before + w.after + 1; }

MMREG_INSIDE int64_t room_of_row(int64_t count, window w) { return 2 * (count + width_of(w)); }

/* out[i] = sum of in[i - before .. i + after]; what lies outside counts as `outside`. `room` holds
   room_of_row(count, w) numbers. */
MMREG_INSIDE void sum_row(const float *in, float *out, int64_t count, window w, float outside, float *room) {
    const int64_t terms = width_of(w), length = count + terms - 1;
    float *padded = room, *power = room + length;
    if (terms == 1) {
        memmove(out, in, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < w.before; i++) padded[i] = outside;
    memcpy(padded + w.before, in, (size_t)count * sizeof(float));
    for (int64_t i = 0; i < w.after; i++) padded[w.before + count + i] = outside;
    int64_t done = 0; /* terms of the window that are in `out` */
    for (int64_t step = 1; step <= terms; step *= 2) {
        /* `source[i]` is the sum of `step` padded values from i on */
        const float *source = step == 1 ? padded : power;
        if (terms & step) {
            if (done)
                for (int64_t i = 0; i < count; i++) out[i] += source[i + done];
            else
                for (int64_t i = 0; i < count; i++) out[i] = source[i];
            done += step;
        }
        if (2 * step > terms) break;
        int64_t reach = length - 2 * step + 1;
        for (int64_t i = 0; i < reach; i++) power[i] = source[i] + source[i + step];
    }
}

MMREG_INSIDE int64_t room_of_strip(window w) { return (width_of(w) + 1) * STRIP; }

/* Sum along the rows of a strip: out row r = sum of in rows r - before .. r + after; every value of a row that does
   not exist counts as `outside`. Rows lie `in_step` and `out_step`
   apart and are `columns` <= STRIP wide; `in` and `out` do not overlap. `room` holds room_of_strip(w) numbers.

   Rows are taken in blocks of as many as the window has. A window is the end of one block and the beginning of the
   next, and both are running sums: three additions per value, whatever the window. */
MMREG_INSIDE void sum_strip(const float *in, int64_t in_step, float *out, int64_t out_step, int64_t rows,
                             int64_t columns, window w, float outside, float *room) {
    const int64_t terms = width_of(w);
    float *begin = room + terms * STRIP;
    for (int64_t block = -w.before; block < rows - w.before; block += terms) {
        for (int64_t k = terms - 1; k >= 0; k--) {
            float *ending = room + k * STRIP;
            const float *row = in + (block + k) * in_step;
            int inside = block + k >= 0 && block + k < rows;
            if (k == terms - 1)
                for (int64_t i = 0; i < columns; i++) ending[i] = inside ? row[i] : outside;
            else if (inside)
                for (int64_t i = 0; i < columns; i++) ending[i] = ending[i + STRIP] + row[i];
            else
                for (int64_t i = 0; i < columns; i++) ending[i] = ending[i + STRIP] + outside;
        }
        int64_t last = mmreg_min(terms, rows - w.before - block);
        for (int64_t i = 0; i < columns; i++) begin[i] = 0.0f;
        for (int64_t k = 0; k < last; k++) {
            const float *ending = room + k * STRIP;
            float *target = out + (block + k + w.before) * out_step;
            int64_t next = block + terms + k - 1; /* the row that the window takes in */
            if (k > 0 && next >= 0 && next < rows) {
                const float *row = in + next * in_step;
                for (int64_t i = 0; i < columns; i++) begin[i] += row[i];
            } else if (k > 0) {
                for (int64_t i = 0; i < columns; i++) begin[i] += outside;
            }
            for (int64_t i = 0; i < columns; i++) target[i] = ending[i] + begin[i];
        }
    }
}

#endif
