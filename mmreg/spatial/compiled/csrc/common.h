/* What all kernels share: the version that the loader checks, one clone per instruction set, and threads. */
#ifndef MMREG_COMMON_H
#define MMREG_COMMON_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Raised with every change of a function's arguments; mmreg/spatial/compiled/library.py asks for the same number. */
#define MMREG_KERNELS 4

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

typedef void (*mmreg_task)(void *context, int64_t index);

/* Call task(context, i) for i in [0, count) on up to `threads` threads, in no particular order. */
void mmreg_parallel(mmreg_task task, void *context, int64_t count, int threads);

static inline int64_t mmreg_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t mmreg_max(int64_t a, int64_t b) { return a > b ? a : b; }

#endif
