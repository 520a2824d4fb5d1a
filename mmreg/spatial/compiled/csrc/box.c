/* Sum over a box around every voxel. */
#include "sums.h"

typedef struct {
    const float *in;
    float *out;
    int64_t depth, height, width;
    window z, y, x;
} job;

MMREG_INSIDE int64_t room_of_slice(const job *b) { return room_of_row(b->width, b->x) + room_of_strip(b->y); }

/* Both axes within a slice. */
MMREG_CLONES static void slice(void *context, int64_t index, void *memory) {
    const job *b = context;
    const int64_t plane = b->height * b->width;
    const float *in = b->in + index * plane;
    float *out = b->out + index * plane;
    float *room = memory, *rows = room + room_of_slice(b);
    float *target = width_of(b->y) == 1 ? out : rows;
    for (int64_t at = 0; at < plane; at += b->width) sum_row(in + at, target + at, b->width, b->x, 0.0f, room);
    if (target == rows)
        for (int64_t x = 0; x < b->width; x += STRIP)
            sum_strip(rows + x, b->width, out + x, b->width, b->height, mmreg_min(STRIP, b->width - x), b->y, 0.0f,
                      room);
}

/* Across slices, in place: a strip of columns. */
MMREG_CLONES static void column(void *context, int64_t index, void *memory) {
    const job *b = context;
    const int64_t plane = b->height * b->width;
    const strip s = strip_at(index, plane);
    float *volume = b->out + s.volume * b->depth * plane + s.first;
    float *room = memory, *copy = room + room_of_strip(b->z);
    copy_strip(volume, plane, b->depth, s.columns, copy);
    sum_strip(copy, STRIP, volume, plane, b->depth, s.columns, b->z, 0.0f, room);
}

/* in, out (volumes, depth, height, width); `reach` has the voxels before and after for each of the three axes. */
int mmreg_box(const float *in, float *out, int64_t volumes, const int64_t *size, const int64_t *reach, int threads) {
    job b = {in, out, size[0], size[1], size[2], {reach[0], reach[1]}, {reach[2], reach[3]}, {reach[4], reach[5]}};
    const int64_t plane = size[1] * size[2];
    int status = mmreg_parallel(slice, &b, volumes * size[0], MMREG_FLOATS(room_of_slice(&b) + plane), threads);
    if (status || width_of(b.z) == 1) return status;
    const int64_t room = MMREG_FLOATS(b.depth * STRIP + room_of_strip(b.z));
    return mmreg_parallel(column, &b, volumes * strips_of(plane), room, threads);
}
