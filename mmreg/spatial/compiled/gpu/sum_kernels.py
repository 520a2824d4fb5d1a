# mypy: ignore-errors
"""Triton: sums over windows along one axis, and the local correlation with its gradients in six such passes.

Volumes are ``(V, D, H, W)``. A pass along an axis reads its window of every voxel; neighbours share the cache.
"""

import triton
import triton.language as tl


@triton.jit
def _line(voxel, stride, length):
    """Place of each voxel along an axis."""
    return (voxel // stride) % length


@triton.jit
def box_kernel(x, out, total, stride, length, BEFORE: tl.constexpr, AFTER: tl.constexpr, BLOCK: tl.constexpr):
    """``out = sum over [-BEFORE, AFTER]`` along the axis with that stride and length, zeros outside."""
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < total
    place = _line(voxel, stride, length)
    found = tl.zeros([BLOCK], tl.float32)
    for step in range(-BEFORE, AFTER + 1):
        there = inside & (place + step >= 0) & (place + step < length)
        found += tl.load(x + voxel + step * stride, mask=there, other=0.0)
    tl.store(out + voxel, found, mask=inside)


@triton.jit
def moments_kernel(first, second, less, out, total, voxels, stride, length, REACH: tl.constexpr, BLOCK: tl.constexpr):
    """Along the first axis: sums of both images, their squares and their product, five volumes of ``out``."""
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < total
    place = _line(voxel, stride, length)
    volume = voxel // voxels
    less_a = tl.load(less + 2 * volume, mask=inside, other=0.0)
    less_b = tl.load(less + 2 * volume + 1, mask=inside, other=0.0)
    a1 = tl.zeros([BLOCK], tl.float32)
    b1 = tl.zeros([BLOCK], tl.float32)
    a2 = tl.zeros([BLOCK], tl.float32)
    b2 = tl.zeros([BLOCK], tl.float32)
    ab = tl.zeros([BLOCK], tl.float32)
    for step in range(-REACH, REACH + 1):
        there = inside & (place + step >= 0) & (place + step < length)
        # What lies outside counts as 0, which is -less once that is taken off.
        a = tl.load(first + voxel + step * stride, mask=there, other=0.0) - less_a
        b = tl.load(second + voxel + step * stride, mask=there, other=0.0) - less_b
        a1 += a
        b1 += b
        a2 += a * a
        b2 += b * b
        ab += a * b
    tl.store(out + voxel, a1, mask=inside)
    tl.store(out + total + voxel, b1, mask=inside)
    tl.store(out + 2 * total + voxel, a2, mask=inside)
    tl.store(out + 3 * total + voxel, b2, mask=inside)
    tl.store(out + 4 * total + voxel, ab, mask=inside)


@triton.jit
def lines_kernel(x, less, out, total, voxels, stride, length, REACH: tl.constexpr, COUNT: tl.constexpr,
                 WHOLE: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Along the middle axis: ``COUNT`` volumes at once. ``WHOLE``: lines outside hold ``WHOLE`` voxels of -less."""
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < total
    place = _line(voxel, stride, length)
    volume = voxel // voxels
    if WHOLE:
        a = -tl.load(less + 2 * volume, mask=inside, other=0.0)
        b = -tl.load(less + 2 * volume + 1, mask=inside, other=0.0)
    low = tl.maximum(REACH - place, 0)
    high = tl.maximum(place + REACH - (length - 1), 0)
    missing = (low + high).to(tl.float32)
    for q in tl.static_range(COUNT):
        found = tl.zeros([BLOCK], tl.float32)
        for step in range(-REACH, REACH + 1):
            there = inside & (place + step >= 0) & (place + step < length)
            found += tl.load(x + q * total + voxel + step * stride, mask=there, other=0.0)
        if WHOLE:
            if q == 0:
                found += missing * WHOLE * a
            if q == 1:
                found += missing * WHOLE * b
            if q == 2:
                found += missing * WHOLE * a * a
            if q == 3:
                found += missing * WHOLE * b * b
            if q == 4:
                found += missing * WHOLE * a * b
        tl.store(out + q * total + voxel, found, mask=inside)


@triton.jit
def correlation_kernel(
    x, mask, counts, out, value, total, voxels, channels, n, eps,
    MASKED: tl.constexpr, COUNTED: tl.constexpr, EXPONENT: tl.constexpr, BY_FIRST: tl.constexpr,
    BY_SECOND: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """From the five sums the map, added up per program, and what the gradients are made of.

    ``out``: slope by the covariance; of each image whose gradient is wanted the slope by its variance and the mixed
    term.
    """
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < total
    sample = voxel // voxels // channels
    within = voxel % voxels
    a1 = tl.load(x + voxel, mask=inside, other=0.0)
    b1 = tl.load(x + total + voxel, mask=inside, other=0.0)
    a2 = tl.load(x + 2 * total + voxel, mask=inside, other=0.0)
    b2 = tl.load(x + 3 * total + voxel, mask=inside, other=0.0)
    ab = tl.load(x + 4 * total + voxel, mask=inside, other=0.0)
    if COUNTED:
        number = tl.maximum(tl.load(counts + sample * voxels + within, mask=inside, other=1.0), 1.0)
    else:
        number = tl.zeros([BLOCK], tl.float32) + n
    mean_a = a1 / number
    mean_b = b1 / number
    cross = ab - mean_a * b1
    var_a = tl.maximum(a2 - mean_a * a1, 0.0)
    var_b = tl.maximum(b2 - mean_b * b1, 0.0)
    denominator = var_a * var_b + eps
    weight = tl.zeros([BLOCK], tl.float32) + 1.0
    if MASKED:
        weight = tl.load(mask + sample * voxels + within, mask=inside, other=0.0)
    if EXPONENT == 1:
        by_cross = 1.0 / tl.sqrt(denominator)
        power = cross * by_cross
        by_denominator = by_cross * by_cross * power
    else:
        slope = cross / denominator
        squared = cross * slope
        if EXPONENT == 2:
            power = squared
            by_cross = slope
            by_denominator = slope * slope
        else:
            power = squared * squared
            by_cross = slope * squared
            by_denominator = slope * slope * squared
    tl.store(value + tl.program_id(0), tl.sum(tl.where(inside, power * weight, 0.0)))
    if BY_FIRST or BY_SECOND:
        by_cross *= weight
        by_denominator *= weight
        tl.store(out + voxel, by_cross, mask=inside)
        at = 1
        if BY_FIRST:
            by_a = by_denominator * var_b
            tl.store(out + total + voxel, by_a, mask=inside)
            tl.store(out + 2 * total + voxel, by_a * mean_a - by_cross * mean_b, mask=inside)
            at = 3
        if BY_SECOND:
            by_b = by_denominator * var_a
            tl.store(out + at * total + voxel, by_b, mask=inside)
            tl.store(out + (at + 1) * total + voxel, by_b * mean_b - by_cross * mean_a, mask=inside)


@triton.jit
def gradient_kernel(
    x, image, other, less, out, total, voxels, scale, VARIANCE: tl.constexpr, FIRST: tl.constexpr, BLOCK: tl.constexpr
):
    """The gradient by one image from the windowed slopes: by the covariance, by its variance, and the mixed term."""
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < total
    volume = voxel // voxels
    own = tl.load(image + voxel, mask=inside, other=0.0) - tl.load(
        less + 2 * volume + (0 if FIRST else 1), mask=inside, other=0.0
    )
    its = tl.load(other + voxel, mask=inside, other=0.0) - tl.load(
        less + 2 * volume + (1 if FIRST else 0), mask=inside, other=0.0
    )
    by_cross = tl.load(x + voxel, mask=inside, other=0.0)
    by_own = tl.load(x + VARIANCE * total + voxel, mask=inside, other=0.0)
    mixed = tl.load(x + (VARIANCE + 1) * total + voxel, mask=inside, other=0.0)
    tl.store(out + voxel, scale * (mixed + its * by_cross - own * by_own), mask=inside)


@triton.jit
def jacobian_kernel(field, out, voxels, depth, height, width, FLAT: tl.constexpr, BLOCK: tl.constexpr):
    """Determinant of the Jacobian of ``x + field(x)``: central differences, one-sided at the border."""
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    base = field + tl.program_id(1).to(tl.int64) * (2 if FLAT else 3) * voxels
    x = voxel % width
    y = (voxel // width) % height
    z = voxel // (width * height)
    row = width
    plane = width * height
    x_low = tl.where(x > 0, 1, 0)
    x_high = tl.where(x < width - 1, 1, 0)
    y_low = tl.where(y > 0, 1, 0)
    y_high = tl.where(y < height - 1, 1, 0)
    over_x = 1.0 / tl.maximum(x_low + x_high, 1).to(tl.float32)
    over_y = 1.0 / tl.maximum(y_low + y_high, 1).to(tl.float32)
    if FLAT:
        c0 = base
        c1 = base + voxels
        ay = 1.0 + over_y * (tl.load(c0 + voxel + y_high * row, mask=inside, other=0.0)
                             - tl.load(c0 + voxel - y_low * row, mask=inside, other=0.0))  # fmt: skip
        ax = over_x * (tl.load(c0 + voxel + x_high, mask=inside, other=0.0)
                       - tl.load(c0 + voxel - x_low, mask=inside, other=0.0))  # fmt: skip
        by = over_y * (tl.load(c1 + voxel + y_high * row, mask=inside, other=0.0)
                       - tl.load(c1 + voxel - y_low * row, mask=inside, other=0.0))  # fmt: skip
        bx = 1.0 + over_x * (tl.load(c1 + voxel + x_high, mask=inside, other=0.0)
                             - tl.load(c1 + voxel - x_low, mask=inside, other=0.0))  # fmt: skip
        found = ay * bx - ax * by
    else:
        z_low = tl.where(z > 0, 1, 0)
        z_high = tl.where(z < depth - 1, 1, 0)
        over_z = 1.0 / tl.maximum(z_low + z_high, 1).to(tl.float32)
        c0 = base
        c1 = base + voxels
        c2 = base + 2 * voxels
        az = 1.0 + over_z * (tl.load(c0 + voxel + z_high * plane, mask=inside, other=0.0)
                             - tl.load(c0 + voxel - z_low * plane, mask=inside, other=0.0))  # fmt: skip
        ay = over_y * (tl.load(c0 + voxel + y_high * row, mask=inside, other=0.0)
                       - tl.load(c0 + voxel - y_low * row, mask=inside, other=0.0))  # fmt: skip
        ax = over_x * (tl.load(c0 + voxel + x_high, mask=inside, other=0.0)
                       - tl.load(c0 + voxel - x_low, mask=inside, other=0.0))  # fmt: skip
        bz = over_z * (tl.load(c1 + voxel + z_high * plane, mask=inside, other=0.0)
                       - tl.load(c1 + voxel - z_low * plane, mask=inside, other=0.0))  # fmt: skip
        by = 1.0 + over_y * (tl.load(c1 + voxel + y_high * row, mask=inside, other=0.0)
                             - tl.load(c1 + voxel - y_low * row, mask=inside, other=0.0))  # fmt: skip
        bx = over_x * (tl.load(c1 + voxel + x_high, mask=inside, other=0.0)
                       - tl.load(c1 + voxel - x_low, mask=inside, other=0.0))  # fmt: skip
        cz = over_z * (tl.load(c2 + voxel + z_high * plane, mask=inside, other=0.0)
                       - tl.load(c2 + voxel - z_low * plane, mask=inside, other=0.0))  # fmt: skip
        cy = over_y * (tl.load(c2 + voxel + y_high * row, mask=inside, other=0.0)
                       - tl.load(c2 + voxel - y_low * row, mask=inside, other=0.0))  # fmt: skip
        cx = 1.0 + over_x * (tl.load(c2 + voxel + x_high, mask=inside, other=0.0)
                             - tl.load(c2 + voxel - x_low, mask=inside, other=0.0))  # fmt: skip
        found = az * (by * cx - bx * cy) - ay * (bz * cx - bx * cz) + ax * (bz * cy - by * cz)
    tl.store(out + tl.program_id(1).to(tl.int64) * voxels + voxel, found, mask=inside)
