/* A warp to be done, and how its transpose is shared out among threads. */
#ifndef MMREG_WARP_H
#define MMREG_WARP_H

#include "cells.h"

typedef struct {
    const float *image, *field, *extra, *grad;
    float *out, *to_image, *to_field;
    int64_t channels, voxels, image_step, field_step, slabs;
    int32_t *ranges;
    volume v;
} job;

/* Which slices each row reads from: rows of one slice of one sample. */
MMREG_CLONES static void range_slice(void *context, int64_t index, void *room) {
    (void)room;
    const job *w = context;
    const volume *v = &w->v;
    int64_t sample = index / v->depth, z = index % v->depth;
    for (int64_t y = 0; y < v->height; y++) {
        const float *field = w->field + sample * w->field_step + (z * v->height + y) * v->width;
        int32_t *range = w->ranges + 2 * (index * v->height + y);
        slice_range(field, v->width, z, v, range, range + 1);
    }
}

/* Call `slab` for every slab of slices of every sample: as many slabs as there are threads for. */
MMREG_INSIDE int by_slabs(mmreg_task slab, job *w, int64_t samples, int threads) {
    w->slabs = mmreg_max(1, mmreg_min(w->v.depth, (threads + samples - 1) / samples));
    int status = mmreg_parallel(range_slice, w, samples * w->v.depth, 0, threads);
    return status ? status : mmreg_parallel(slab, w, samples * w->slabs, 0, threads);
}

#endif
