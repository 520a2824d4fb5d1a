# mypy: ignore-errors
"""Triton: difference of two self-similarity descriptors, and its gradients (mmreg/models/losses/self_similarity.py).

Images are ``(V, D, H, W)``, maps ``(V, K, D, H, W)``: one per pair of offsets. Outside, the border voxel is repeated. A
program works on one block of voxels of one volume (or of one map), so that numbers of voxels fit 32 bits.
"""

import triton
import triton.language as tl


@triton.jit
def _held(place, size):
    """The voxel of an axis that stands for a place, which may lie outside."""
    return tl.minimum(tl.maximum(place, 0), size - 1)


@triton.jit
def _difference(image, pairs, k, z, y, x, inside, depth, height, width):
    """Difference of the two voxels that pair ``k`` compares at (z, y, x)."""
    pair = pairs + 6 * k
    first = (_held(z + tl.load(pair), depth) * height + _held(y + tl.load(pair + 1), height)) * width
    second = (_held(z + tl.load(pair + 3), depth) * height + _held(y + tl.load(pair + 4), height)) * width
    first += _held(x + tl.load(pair + 2), width)
    second += _held(x + tl.load(pair + 5), width)
    return tl.load(image + first, mask=inside, other=0.0) - tl.load(image + second, mask=inside, other=0.0)


@triton.jit
def difference_kernel(image, pairs, out, count, voxels, depth, height, width, REACH: tl.constexpr, BLOCK: tl.constexpr):
    """Map ``k``: squared differences of its pair, summed over the window along the rows."""
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    volume, k = tl.program_id(1) // count, tl.program_id(1) % count
    source = image + volume.to(tl.int64) * voxels
    x, y, z = voxel % width, (voxel // width) % height, voxel // (width * height)
    found = tl.zeros([BLOCK], tl.float32)
    for step in range(-REACH, REACH + 1):
        difference = _difference(source, pairs, k, z, y, _held(x + step, width), inside, depth, height, width)
        found += difference * difference
    tl.store(out + tl.program_id(1).to(tl.int64) * voxels + voxel, found, mask=inside)


@triton.jit
def _reads(at, other, length, REACH: tl.constexpr):
    """How often the window at ``other`` reads ``at``: the border stands for what lies beyond it."""
    before = tl.where(at == 0, tl.maximum(REACH - other, 0), 0)
    behind = tl.where(at == length - 1, tl.maximum(REACH - (length - 1 - other), 0), 0)
    return (1 + before + behind).to(tl.float32)


@triton.jit
def window_kernel(
    maps, out, voxels, stride, length, REACH: tl.constexpr, TRANSPOSED: tl.constexpr, BLOCK: tl.constexpr
):
    """Sums of each map over the window along one axis; ``TRANSPOSED``: of what the windows gave to each voxel."""
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    start = tl.program_id(1).to(tl.int64) * voxels
    place = (voxel // stride) % length
    found = tl.zeros([BLOCK], tl.float32)
    for step in range(-REACH, REACH + 1):
        other = place + step
        if TRANSPOSED:
            there = inside & (other >= 0) & (other < length)
            value = tl.load(maps + start + voxel + step * stride, mask=there, other=0.0)
            found += value * _reads(place, other, length, REACH)
        else:
            found += tl.load(maps + start + voxel + (_held(other, length) - place) * stride, mask=inside, other=0.0)
    tl.store(out + start + voxel, found, mask=inside)


@triton.jit
def _lowest_and_spread(maps, voxels, scale, inside, COUNT: tl.constexpr, BLOCK: tl.constexpr):
    """The smallest map of each voxel, and how far the maps are above it on average."""
    lowest = tl.zeros([BLOCK], tl.float32) + float('inf')
    total = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(COUNT):
        lowest = tl.minimum(lowest, tl.load(maps + k * voxels, mask=inside, other=0.0))
    for k in tl.static_range(COUNT):  # taken off first: the maps may be equal but for their last digits
        total += (tl.load(maps + k * voxels, mask=inside, other=0.0) - lowest) * scale
    return lowest, total / COUNT


@triton.jit
def spread_kernel(maps, out, voxels, scale, COUNT: tl.constexpr, BLOCK: tl.constexpr):
    """The spread of every voxel of one image."""
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    volume = tl.program_id(1).to(tl.int64)
    own = maps + volume * voxels * COUNT + voxel
    _, spread = _lowest_and_spread(own, voxels, scale, inside, COUNT, BLOCK)
    tl.store(out + volume * voxels + voxel, spread, mask=inside)


@triton.jit
def _clamped(spread, middle, low_factor, high_factor, floor):
    """The spread within its limits, one over it, and at which limit it is held."""
    low, high = low_factor * middle, high_factor * middle
    clamped = tl.minimum(tl.maximum(spread, low), high)
    return clamped, 1.0 / tl.maximum(clamped, floor), spread < low, spread > high


@triton.jit
def _slope(a, b, weight, SQUARED: tl.constexpr):
    """Of one pair: the difference's contribution to the value, and its derivative by the first descriptor."""
    difference = a - b
    sign = (difference > 0).to(tl.float32) - (difference < 0).to(tl.float32)
    if SQUARED:
        value, slope = difference * difference, 2.0 * difference
    else:
        value, slope = difference * sign, sign
    return value * weight, slope * weight


@triton.jit
def compare_kernel(
    first, second, mask, middle, by_middle, value, at_limits, out, voxels, scale, weight, low_factor, high_factor,
    floor, COUNT: tl.constexpr, SQUARED: tl.constexpr, MASKED: tl.constexpr, SIDE: tl.constexpr, DERIVE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Compares two descriptors, whose summed maps are ``first`` and ``second``.

    Without ``DERIVE`` every program leaves its part of the value and of the derivative by both limits of the spread of
    image ``SIDE``; with it, the derivatives by the maps of that image, ``by_middle`` being the one by the mean spread.
    """
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    volume = tl.program_id(1).to(tl.int64)
    start = volume * voxels * COUNT + voxel
    program = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    factor = tl.zeros([BLOCK], tl.float32) + weight
    if MASKED:
        factor *= tl.load(mask + volume * voxels + voxel, mask=inside, other=0.0)
    own, other = (first, second) if SIDE == 0 else (second, first)
    own_low, own_spread = _lowest_and_spread(own + start, voxels, scale, inside, COUNT, BLOCK)
    other_low, other_spread = _lowest_and_spread(other + start, voxels, scale, inside, COUNT, BLOCK)
    clamped, inverse, is_low, is_high = _clamped(own_spread, tl.load(middle + SIDE), low_factor, high_factor, floor)
    _, over, _, _ = _clamped(other_spread, tl.load(middle + 1 - SIDE), low_factor, high_factor, floor)
    total = tl.zeros([BLOCK], tl.float32)
    by_exponent = tl.zeros([BLOCK], tl.float32)
    by_weight = tl.zeros([BLOCK], tl.float32)
    ties = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(COUNT):
        a = tl.load(own + start + k * voxels, mask=inside, other=0.0) - own_low
        b = tl.load(other + start + k * voxels, mask=inside, other=0.0) - other_low
        exponent = a * scale * inverse
        descriptor = tl.exp(-exponent)
        part, slope = _slope(descriptor, tl.exp(-b * scale * over), factor, SQUARED)
        total += part
        by_exponent += descriptor * slope * exponent
        by_weight += descriptor * slope
        ties += (a == 0.0).to(tl.float32)
    by_clamped = tl.where(clamped >= floor, by_exponent * inverse, 0.0)
    if not DERIVE:
        tl.store(value + program, tl.sum(tl.where(inside, total, 0.0)))
        limit = tl.where(is_low, low_factor * by_clamped, tl.where(is_high, high_factor * by_clamped, 0.0))
        tl.store(at_limits + program, tl.sum(tl.where(inside, limit, 0.0)))
    else:
        by_spread = tl.where(is_low | is_high, 0.0, by_clamped) + tl.load(by_middle)
        by_lowest = (by_spread - by_weight * inverse) / ties
        for k in tl.static_range(COUNT):
            a = tl.load(own + start + k * voxels, mask=inside, other=0.0) - own_low
            b = tl.load(other + start + k * voxels, mask=inside, other=0.0) - other_low
            descriptor = tl.exp(-a * scale * inverse)
            _, slope = _slope(descriptor, tl.exp(-b * scale * over), factor, SQUARED)
            found = by_spread / COUNT - descriptor * slope * inverse - tl.where(a == 0.0, by_lowest, 0.0)
            tl.store(out + start + k * voxels, found, mask=inside)


@triton.jit
def step_kernel(
    maps, image, pairs, out, count, voxels, depth, height, width, scale, REACH: tl.constexpr, BLOCK: tl.constexpr
):
    """Of derivatives by the maps, summed along the other axes: what the first voxel of each pair is given."""
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    volume, k = tl.program_id(1) // count, tl.program_id(1) % count
    start = tl.program_id(1).to(tl.int64) * voxels
    source = image + volume.to(tl.int64) * voxels
    x, y, z = voxel % width, (voxel // width) % height, voxel // (width * height)
    found = tl.zeros([BLOCK], tl.float32)
    for step in range(-REACH, REACH + 1):
        there = inside & (x + step >= 0) & (x + step < width)
        found += tl.load(maps + start + voxel + step, mask=there, other=0.0) * _reads(x, x + step, width, REACH)
    difference = _difference(source, pairs, k, z, y, x, inside, depth, height, width)
    tl.store(out + start + voxel, found * difference * scale, mask=inside)


@triton.jit
def gather_kernel(
    steps, pairs, out, voxels, padded, depth, height, width, margin_z, margin,
    COUNT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient by the padded image: what all pairs give to each of its voxels, in one order."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < padded
    long, high = width + 2 * margin, height + 2 * margin
    x, y, z = place % long - margin, (place // long) % high - margin, place // (long * high) - margin_z
    source = steps + tl.program_id(1).to(tl.int64) * COUNT * voxels
    found = tl.zeros([BLOCK], tl.float32)
    for k in range(COUNT):
        for side in tl.static_range(2):
            pair = pairs + 6 * k + 3 * side
            cz, cy, cx = z - tl.load(pair), y - tl.load(pair + 1), x - tl.load(pair + 2)
            there = inside & (cz >= 0) & (cz < depth) & (cy >= 0) & (cy < height) & (cx >= 0) & (cx < width)
            step = tl.load(source + (cz * height + cy) * width + cx, mask=there, other=0.0)
            found += step if side == 0 else -step
        source += voxels
    tl.store(out + tl.program_id(1).to(tl.int64) * padded + place, found, mask=inside)
