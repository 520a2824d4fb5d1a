# mypy: ignore-errors
"""Triton: the linear warp of a volume at displaced voxels, its composition with the displacement, both gradients.

Volumes are ``(N, C, D, H, W)``; a picture is one with D = 1 whose displacement has two components (``FLAT``).
"""

import triton
import triton.language as tl


@triton.jit
def _axis(position, size, BORDER: tl.constexpr):
    """Both neighbours along an axis with their weights, whether they exist, and whether the position can move."""
    last = (size - 1).to(tl.float32)
    free = (position >= 0.0) & (position <= last)
    if BORDER:
        position = tl.minimum(tl.maximum(position, 0.0), last)
    else:
        # So far outside nothing is seen; the bound keeps whole numbers in range.
        position = tl.minimum(tl.maximum(position, -2.0), last + 2.0)
    low = tl.floor(position)
    high_weight = position - low
    low = low.to(tl.int32)
    high = low + 1
    return low, high, 1.0 - high_weight, high_weight, (low >= 0) & (low < size), (high >= 0) & (high < size), free


@triton.jit
def _places(field, sample, voxel, inside, field_step, voxels, depth, height, width, FLAT: tl.constexpr):
    """Where each voxel looks, along the three axes."""
    x = (voxel % width).to(tl.float32)
    y = ((voxel // width) % height).to(tl.float32)
    base = field + sample.to(tl.int64) * field_step
    if FLAT:
        z = tl.zeros_like(x)
        y += tl.load(base + voxel, mask=inside, other=0.0).to(tl.float32)
        x += tl.load(base + voxels + voxel, mask=inside, other=0.0).to(tl.float32)
    else:
        z = (voxel // (width * height)).to(tl.float32)
        z += tl.load(base + voxel, mask=inside, other=0.0).to(tl.float32)
        y += tl.load(base + voxels + voxel, mask=inside, other=0.0).to(tl.float32)
        x += tl.load(base + 2 * voxels + voxel, mask=inside, other=0.0).to(tl.float32)
    return z, y, x


@triton.jit
def _axes(field, sample, voxel, inside, field_step, voxels, depth, height, width, BORDER: tl.constexpr,
          FLAT: tl.constexpr):  # fmt: skip
    """What :func:`_axis` tells of the place that each voxel looks at, along the three axes."""
    z, y, x = _places(field, sample, voxel, inside, field_step, voxels, depth, height, width, FLAT)
    return _axis(z, depth, BORDER), _axis(y, height, BORDER), _axis(x, width, BORDER)


@triton.jit
def _corner(z, y, x, height, width, CORNER: tl.constexpr):
    """Of the corner of a cell: its place in a volume, its weights along the three axes, whether it exists."""
    zi, wz, in_z = (z[1], z[3], z[5]) if CORNER // 4 else (z[0], z[2], z[4])
    yi, wy, in_y = (y[1], y[3], y[5]) if (CORNER // 2) % 2 else (y[0], y[2], y[4])
    xi, wx, in_x = (x[1], x[3], x[5]) if CORNER % 2 else (x[0], x[2], x[4])
    return (zi * height + yi) * width + xi, wz, wy, wx, in_z & in_y & in_x


@triton.jit
def warp_kernel(
    image, field, out, channels, voxels, depth, height, width, image_step, field_step,
    BORDER: tl.constexpr, COMPOSED: tl.constexpr, FLAT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """``out = image(x + field(x))``, plus ``field`` where it is composed."""
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    sample = tl.program_id(1)
    inside = voxel < voxels
    z, y, x = _axes(field, sample, voxel, inside, field_step, voxels, depth, height, width, BORDER, FLAT)
    source = image + sample.to(tl.int64) * image_step
    target = out + sample.to(tl.int64) * channels * voxels
    own = field + sample.to(tl.int64) * field_step
    c = 0
    while c < channels:
        plane = source + c * voxels
        total = tl.zeros([BLOCK], tl.float32)
        for corner in tl.static_range(4 if FLAT else 8):
            place, wz, wy, wx, exists = _corner(z, y, x, height, width, corner)
            there = inside & exists
            value = tl.load(plane + place, mask=there, other=0.0).to(tl.float32)
            total += wx * wy * wz * value
        if COMPOSED:
            total += tl.load(own + c * voxels + voxel, mask=inside, other=0.0).to(tl.float32)
        tl.store(target + c * voxels + voxel, total, mask=inside)
        c += 1


@triton.jit
def warp_backward_kernel(
    grad, image, field, to_image, to_field, channels, voxels, depth, height, width, image_step, field_step,
    BORDER: tl.constexpr, FLAT: tl.constexpr, BY_IMAGE: tl.constexpr,
    BY_FIELD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Adds the gradients of ``image(x + field(x))`` to ``to_image`` and ``to_field``, which may be one memory."""
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    sample = tl.program_id(1)
    inside = voxel < voxels
    z, y, x = _axes(field, sample, voxel, inside, field_step, voxels, depth, height, width, BORDER, FLAT)
    source = image + sample.to(tl.int64) * image_step
    slope_z = tl.zeros([BLOCK], tl.float32)
    slope_y = tl.zeros([BLOCK], tl.float32)
    slope_x = tl.zeros([BLOCK], tl.float32)
    c = 0
    while c < channels:
        start = sample.to(tl.int64) * channels * voxels + c * voxels
        above = tl.load(grad + start + voxel, mask=inside, other=0.0).to(tl.float32)
        plane = source + c * voxels
        for corner in tl.static_range(4 if FLAT else 8):
            place, wz, wy, wx, exists = _corner(z, y, x, height, width, corner)
            there = inside & exists
            if BY_FIELD:
                value = above * tl.load(plane + place, mask=there, other=0.0).to(tl.float32)
                slope_x += value * wy * wz * (1.0 if corner % 2 else -1.0)
                slope_y += value * wx * wz * (1.0 if (corner // 2) % 2 else -1.0)
                if not FLAT:
                    slope_z += value * wx * wy * (1.0 if corner // 4 else -1.0)
            if BY_IMAGE:
                tl.atomic_add(to_image + start + place, above * wx * wy * wz, mask=there)
        c += 1
    if BY_FIELD:
        if BORDER:  # a position that is held at the border does not move
            slope_x = tl.where(x[6], slope_x, 0.0)
            slope_y = tl.where(y[6], slope_y, 0.0)
            slope_z = tl.where(z[6], slope_z, 0.0)
        target = to_field + sample.to(tl.int64) * (2 if FLAT else 3) * voxels + voxel
        if FLAT:
            tl.atomic_add(target, slope_y, mask=inside)
            tl.atomic_add(target + voxels, slope_x, mask=inside)
        else:
            tl.atomic_add(target, slope_z, mask=inside)
            tl.atomic_add(target + voxels, slope_y, mask=inside)
            tl.atomic_add(target + 2 * voxels, slope_x, mask=inside)
