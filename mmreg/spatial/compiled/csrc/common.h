/* What all kernels share: one clone per instruction set, threads, and the room in which each of them works. */
#ifndef MMREG_COMMON_H
#define MMREG_COMMON_H

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

/* The loader of the system picks the clone that the processor can run. Contraction into fused multiply-adds is off in
   the build, so that all clones round alike. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define MMREG_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MMREG_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define MMREG_CLONES
#endif

/* Inlined whatever the size: only so is it compiled for the instruction set of the clone. */
#if defined(__GNUC__)
#define MMREG_INSIDE static inline __attribute__((always_inline))
#else
#define MMREG_INSIDE static inline
#endif

/* `room` is memory of the calling thread's own, not cleared, as much as was asked for. */
typedef void (*mmreg_task)(void *context, int64_t index, void *room);

/* Call task(context, i, room) for i in [0, count) on up to `threads` threads, in no particular order, each with `room`
   bytes. Tasks allocate nothing themselves. Where memory does not suffice for all threads, fewer take part; where it
   does not for one, nothing is called and MMREG_NO_MEMORY is returned. */
int mmreg_parallel(mmreg_task task, void *context, int64_t count, int64_t room, int threads);

#define MMREG_FLOATS(count) ((int64_t)(count) * (int64_t)sizeof(float))

static inline int64_t mmreg_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t mmreg_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* One axis at a position: index of the voxel below, weight of the one above; `moves`: 0 where the border goes on. */
MMREG_INSIDE int64_t mmreg_below(float position, int64_t n, float *above, float *moves) {
    const float last = (float)(n - 1);
    const float inside = position > 0.0f ? (position < last ? position : last) : 0.0f; /* 0 for what is no number */
    int64_t low = (int64_t)inside;
    *moves = inside == position ? 1.0f : 0.0f;
    if (low > n - 2) low = n > 1 ? n - 2 : 0;
    *above = inside - (float)low;
    return low;
}

#endif
