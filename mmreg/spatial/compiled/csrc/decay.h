/* The exponential in a form that compilers turn into vector code without the rules for numbers being relaxed. */
#ifndef MMREG_DECAY_H
#define MMREG_DECAY_H

#include "common.h"

/* e^-x, x >= 0, to 1e-7; below 1e-38 it stays there. */
MMREG_INSIDE float decay(float x) {
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves an integer in the last bits */
    float y = x > 87.0f ? -87.0f : -x;
    float shifted = y * 1.44269504f + round, n = shifted - round;
    float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 0.49999993f + r * (0.1666652f + r * (0.04166839f + r * (0.00836875f + r * 0.00138145f)));
    union {
        float number;
        uint32_t bits;
    } power = {.number = shifted};
    power.bits = (power.bits + 127u) << 23;
    return (1.0f + (r + r * r * p)) * power.number;
}

#endif
