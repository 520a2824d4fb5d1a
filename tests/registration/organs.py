"""Pairs of made scans of many organs and fields of view, each with the presets that suit it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from mmreg.io import Geometry, Volume

from .phantoms import centred

ONE, TWO = ('generic',), ('generic_multimodal',)


def _points(grid: Geometry) -> np.ndarray:
    return grid.voxel_to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing='ij'), -1))


def _noise(shape, sigma, seed):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return noise / noise.std()


def tissue(shape, spacing, seed, direction=None, scale=1.0, sigma=2.5):
    """MR up to the border: one texture for all seeds, with noise of its own."""
    array = scale * np.maximum(2 + _noise(shape, sigma, 5), 0.3)
    array += 0.05 * scale * np.random.default_rng(seed).normal(size=shape)
    return Volume(array.astype(np.float32), centred(shape, spacing, direction))


def chest(seed, lungs=62.0, shift=0.0, table=False, shape=(50, 44, 40), step=7.0, crop=None):
    """A trunk in air in Hounsfield units with two lungs of a radius in mm, ribs and vessels."""
    grid = centred(shape, (step,) * 3)
    x = _points(grid)
    a = np.full(shape, -1000.0)
    a[((x[..., :2] / (150, 110)) ** 2).sum(-1) < 1] = 40
    for side in (-70, 70):
        a[((x - (side, 0, shift)) ** 2).sum(-1) < lungs**2] = -820
        a[((x - (side, 20, shift)) ** 2).sum(-1) < (0.2 * lungs) ** 2] = 30
    a[((x[..., :2] - (0, -80)) ** 2).sum(-1) < 18**2] = 500
    if table:
        a[(np.abs(x[..., 1] + 135) < 5) & (np.abs(x[..., 0]) < 170)] = -900
    return _ct(a, grid, seed, crop)


def head_ct(seed, radius=75.0, neck=False):
    shape = (40, 44, 40)
    grid = centred(shape, (6.0,) * 3)
    x = _points(grid)
    distance = np.sqrt(((x / (radius, 1.2 * radius, 1.2 * radius)) ** 2).sum(-1))
    a = np.where(distance < 1, 1000.0, -1000.0)
    a[distance < 0.88] = 38
    if neck:
        a[((x[..., :2] / (50, 50)) ** 2).sum(-1) + 10 * (x[..., 2] > 0) < 1] = 50
    return _ct(a, grid, seed, None)


def _ct(array, grid, seed, crop):
    volume = Volume((array + 15 * np.random.default_rng(seed).normal(size=array.shape)).astype(np.float32), grid)
    if crop is None:
        return volume
    affine = grid.affine.copy()
    affine[:-1, -1] += affine[:-1, :-1] @ np.array([part.start or 0 for part in crop], dtype=float)
    cut = np.ascontiguousarray(volume.array[crop])
    return Volume(cut, Geometry(cut.shape, affine))


def head(seed, contrast='T1', skull=True, scale=1.0, spacing=3.2, shape=(56, 64, 56)):
    """A head of nested tissues in a dark box: scalp, skull, fluid, grey and white matter, in one of four contrasts."""
    grid = centred(shape, (spacing,) * 3)
    x = _points(grid) / scale
    wave = 0.06 * _noise(shape, 3, 11) + 0.01 * _noise(shape, 2, seed)
    d = np.sqrt(((x / (70, 85, 75)) ** 2).sum(-1)) + wave
    values = {
        'T1': (0.9, 0.1, 0.15, 0.55, 0.85), 'T2': (0.7, 0.1, 1.0, 0.6, 0.4),
        'PD': (0.8, 0.1, 0.85, 1.0, 0.7), 'FLAIR': (0.8, 0.1, 0.1, 0.9, 0.65),
    }[contrast]  # fmt: skip
    a = np.zeros(shape)
    for level, value in zip((1.0, 0.93, 0.86, 0.8, 0.6) if skull else (0, 0, 0.86, 0.8, 0.6), values):
        a[d < level] = value
    for centre in ((18, 10, 5), (-18, 10, 5)):
        a[((x - centre) ** 2).sum(-1) < 12**2] = values[2]
        a[((x + np.asarray(centre)) ** 2).sum(-1) < 9**2] = values[3]
    a = gaussian_filter(a, 0.7) + 0.02 * np.abs(np.random.default_rng(seed).normal(size=shape))
    return Volume((1000 * a).astype(np.float32), grid)


CONTRASTS = {'T1': (0.2, 0.55, 0.9), 'T2': (1.0, 0.65, 0.45), 'PD': (0.85, 1.0, 0.7), 'FLAIR': (0.2, 1.0, 0.7)}


def person(seed, contrast='T1', size=48, step=1.2, apart=3.5):
    """A crop of a brain of one person: fluid, grey and white matter up to the border, apart by some mm from others'."""
    shape = (size,) * 3
    move = np.stack([_noise(shape, 7, 20 * seed + k) for k in range(3)]) * apart / step / 3**0.5
    depth = map_coordinates(_noise(shape, 4, 5), np.indices(shape) + move, order=1, mode='nearest')
    values = np.asarray(CONTRASTS[contrast])[np.digitize(depth, (-0.6, 0.3))]
    noisy = gaussian_filter(values, 0.7) + 0.03 * np.random.default_rng(seed).normal(size=shape)
    return Volume((1000 * noisy).astype(np.float32), centred(shape, (step,) * 3))


def flat(seed, white=False, inverted=False):
    """A 2-D picture: a dark body on white, or a bright one on black."""
    array = np.clip(1.2 + 0.6 * _noise((90, 80), 3, 5), 0.3, 2.5)
    y, x = np.mgrid[-45:45, -40:40]
    array = np.where((y / 36) ** 2 + (x / 30) ** 2 < 1, array, 0)
    array = 3 - array if white else array
    if inverted:
        array = np.where(array > 0.25, 2.8 - array, array)
    return Volume((80 * array + np.random.default_rng(seed).normal(size=array.shape)).astype(np.float32),
                  Geometry.from_parts(array.shape))  # fmt: skip


def examples() -> Iterator[tuple[str, tuple[str, ...], Volume, Volume]]:
    """Name, presets that suit, fixed, moving."""
    for name, options in {
        'chest': {}, 'small lungs': {'lungs': 56}, 'chest on a table': {'table': True},
        'right lung, cut at the side': {'crop': (slice(0, 26), slice(None), slice(None))},
        'inside of a lung': {'crop': (slice(6, 24), slice(12, 32), slice(8, 32))},
        'half a lung': {'crop': (slice(8, 20), slice(None), slice(8, 30))},
        'lungs cut off above': {'shift': 130, 'lungs': 75},
        'slab of a chest': {'crop': (slice(None), slice(None), slice(16, 24))},
    }.items():  # fmt: skip
        yield name, ('lung_ct',), chest(0, **options), chest(1, **options)
    for name, options in {
        'abdomen': {'lungs': 8}, 'abdomen on a table': {'lungs': 8, 'table': True},
        'abdomen with the ends of the lungs': {'lungs': 30, 'shift': 140},
        'slab of an abdomen': {'lungs': 8, 'crop': (slice(None), slice(None), slice(4, 14))},
    }.items():  # fmt: skip
        yield name, ('abdomen_ct',), chest(0, **options), chest(1, **options)
    yield 'head CT', ONE, head_ct(0), head_ct(1)
    yield 'child head CT', ONE, head_ct(0, 60), head_ct(1, 60)
    yield 'head and neck CT', ONE, head_ct(0, neck=True), head_ct(1, neck=True)
    liver = {'lungs': 5, 'crop': (slice(10, 32), slice(8, 30), slice(10, 30))}
    yield 'crop of a liver', ('generic', 'abdomen_ct'), chest(0, **liver), chest(1, **liver)
    for skull in (True, False):
        what = 'head' if skull else 'brain'
        yield f'{what} T1', ('brain_t1',), head(0, skull=skull), head(1, skull=skull)
        yield f'small {what} T1', ('brain_t1',), head(0, skull=skull, scale=0.85), head(1, skull=skull, scale=0.85)
        for other in ('T2', 'PD', 'FLAIR'):
            yield f'{what} T1 and {other}', ('brain_multimodal',), head(0, 'T1', skull), head(1, other, skull)
            yield f'{what} {other} and T1', ('brain_multimodal',), head(0, other, skull), head(1, 'T1', skull)
            yield f'{what} {other} twice', ('brain_t1',), head(0, other, skull), head(1, other, skull)
    yield 'head CT and MR', ('brain_multimodal', 'generic_multimodal'), head_ct(0), head(1)
    yield 'mouse brain', ONE, tissue((55, 80, 56), (0.2,) * 3, 0), tissue((55, 80, 56), (0.2,) * 3, 1)
    yield 'mouse head, dark around', ONE, head(0, scale=0.1, spacing=0.32), head(1, scale=0.1, spacing=0.32)
    yield 'crop of a brain', ONE, tissue((56,) * 3, (1.0,) * 3, 0), tissue((56,) * 3, (1.0,) * 3, 1)
    for size, step in ((40, 1.0), (48, 1.2)):
        for contrast in ('T1', 'T2', 'FLAIR'):
            crops = (person(seed, contrast, size, step) for seed in (1, 2))
            yield f'crop of {size * step:.0f} mm of two persons, {contrast}', ONE, *crops
        for one, other in (('T1', 'T2'), ('PD', 'T1'), ('T2', 'FLAIR')):
            crops = (person(seed, contrast, size, step) for seed, contrast in ((1, one), (2, other)))
            yield f'crop of {size * step:.0f} mm of two persons, {one} and {other}', TWO, *crops
    yield 'large object', ONE, tissue((50,) * 3, (8.0,) * 3, 0), tissue((50,) * 3, (8.0,) * 3, 1)
    sagittal = np.eye(3)[:, [1, 2, 0]]
    for name, shape, spacing, direction in (
        ('neck', (40, 60, 64), (1.0,) * 3, None), ('lumbar spine', (30, 60, 90), (3.0,) * 3, None),
        ('sagittal stack', (128, 128, 15), (1.8, 1.8, 4.0), sagittal),
        ('thoracic spine', (25, 50, 90), (4.0,) * 3, None),
    ):  # fmt: skip
        yield name, ('spine',), *(tissue(shape, spacing, seed, direction) for seed in (0, 1))
    for count, thickness in ((9, 10.0), (12, 8.0), (14, 6.0)):
        size = (64, 64, count), (1.4, 1.4, thickness)
        yield f'heart, {count} slices', ('cardiac_cine',), tissue(*size, 0), tissue(*size, 1)
    yield 'X-ray', ('planar',), flat(0), flat(1)
    yield 'sections on white', ('planar',), flat(0, True), flat(1, True)
    yield 'sections of two stains', ('planar_multimodal',), flat(0), flat(1, inverted=True)
