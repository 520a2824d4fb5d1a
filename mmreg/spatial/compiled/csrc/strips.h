/* Strips: neighbouring columns of voxels through all slices of a volume, few enough to stay in the fastest cache. */
#ifndef MMREG_STRIPS_H
#define MMREG_STRIPS_H

#include "common.h"

#define STRIP 64

typedef struct {
    int64_t volume, first, columns; /* of a slice's voxels: first .. first + columns - 1 */
} strip;

MMREG_INSIDE int64_t strips_of(int64_t plane) { return (plane + STRIP - 1) / STRIP; }

/* Strip `index` of many volumes with `plane` voxels per slice. */
MMREG_INSIDE strip strip_at(int64_t index, int64_t plane) {
    const int64_t first = index % strips_of(plane) * STRIP;
    return (strip){index / strips_of(plane), first, mmreg_min(STRIP, plane - first)};
}

/* The rows of a strip that begins at `from` of the first slice, STRIP apart in `copy`. */
MMREG_INSIDE void copy_strip(const float *from, int64_t plane, int64_t depth, int64_t columns, float *copy) {
    for (int64_t z = 0; z < depth; z++) memcpy(copy + z * STRIP, from + z * plane, (size_t)columns * sizeof(float));
}

#endif
