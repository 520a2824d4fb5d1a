"""Preprocessing of the GraDIRN release."""

from __future__ import annotations

import re

import numpy as np

from mmreg.datasets.transforms import CenterCrop, CleanStackLabels, PercentileWindow, Resample
from mmreg.datasets.transforms.stacks import overlapping_slices, slice_positions
from tests.golden.fill import image, labels
from tests.golden.harness import Case, runner

TOLERANCE = {'rtol': 1e-5, 'atol': 1e-5}


def _stack(seeds: list[int], shape: list[int], scale: float, shift: float = 0.0) -> np.ndarray:
    return np.stack([image(seed, shape) * scale + shift for seed in seeds])


def _number(case: Case, pattern: str) -> list[float]:
    """Numbers that a note of the case gives in words."""
    for note in case.info['notes']:
        found = re.search(pattern, note)
        if found:
            return [float(group) for group in found.groups()]
    raise AssertionError(f'{case.id} has no note that says {pattern!r}')


@runner('gradirn', 'data')
def preprocessing(case: Case) -> None:
    done = _two_dimensional(case) | _three_dimensional(case) | _slices(case)
    assert done == set(case.arrays) | set(case.info['values'])


def _classes(case: Case) -> int:
    return int(_number(case, r'labels\([^)]*, (\d+)\)')[0])


def _window(case: Case) -> PercentileWindow:
    low, high = _number(case, r'the ([\d.]+) and ([\d.]+) percentiles')
    return PercentileWindow(low=low, high=high)


def _two_dimensional(case: Case) -> set[str]:
    given = case.info['inputs']
    seeds, shape = given['seeds'], given['shape2']
    scale, shift = _number(case, r'image\(seed, shape2\)\*([\d.]+)([+-][\d.]+) to crop2')
    target = _stack(seeds, shape, scale, shift)
    crop = CenterCrop(size=given['crop2'])
    case.close('cropped2d', np.stack([crop({'image': one[None]})['image'][0] for one in target]), **TOLERANCE)
    more, brightness = _number(case, r'src is image\(seed\+(\d+), shape2\)\*([\d.]+)')
    source = _stack([seed + int(more) for seed in seeds], shape, brightness)
    for key, stack in (('norm2d_tar', target), ('norm2d_src', source)):
        case.close(key, np.stack([_window(case)({'image': one[None]})['image'][0] for one in stack]), **TOLERANCE)
    results: dict[str, list] = {'image': [], 'labels': []}
    maps = [labels(seed, shape, _classes(case)) for seed in seeds]
    for one, segmentation in zip(target, maps):
        changed = Resample(factor=given['factor2'])(
            {'image': one[None].astype(np.float32), 'labels': segmentation[None]}
        )
        for key, found in results.items():
            found.append(changed[key][0])
    case.close('resample2d_image', np.stack(results['image']), rtol=1e-5, atol=1e-5 * scale)
    case.close('resample2d_label', np.stack(results['labels']), rtol=0, atol=0)
    return {'cropped2d', 'norm2d_tar', 'norm2d_src', 'resample2d_image', 'resample2d_label'}


def _three_dimensional(case: Case) -> set[str]:
    given = case.info['inputs']
    (scale,) = _number(case, r'image\(seeds\[0\], shape3\)\*([\d.]+)')
    sample = {
        'image': (image(given['seeds'][0], given['shape3']) * scale)[None],
        'labels': labels(given['seeds'][1], given['shape3'], _classes(case))[None],
    }
    cropped = CenterCrop(size=given['crop3'])(sample)
    case.close('cropped3d', cropped['image'], **TOLERANCE)
    prepared = Resample(size=given['resample3'])(_window(case)(cropped))
    case.close('prep3d_image', prepared['image'], **TOLERANCE)
    case.close('prep3d_label', prepared['labels'], rtol=0, atol=0)
    return {'cropped3d', 'prep3d_image', 'prep3d_label'}


def _slices(case: Case) -> set[str]:
    done = set()
    positions = [float(f) for f in re.findall(r'0\.\d+', _positions_note(case))]
    for key, expected in case.info['values'].items():
        found = re.fullmatch(r'slices_of_(\d+)(?:_in_range_(\d+)_(\d+))?', key)
        if found:
            count, *limits = (None if group is None else int(group) for group in found.groups())
            assert slice_positions(count, positions, None if limits[0] is None else tuple(limits)) == expected, key
            done.add(key)
    given = case.info['inputs']
    target = np.stack([labels(seed, given['shape2'], _classes(case)) for seed in given['seeds']])
    source = np.roll(target, given['roll'], (1, 2))
    removed, place = (int(n) for n in _number(case, r'class (\d+) removed from slice (\d+)'))
    source[place][source[place] == removed] = 0
    _check_cleaning(case, target, source)
    return done | {'clean_seg_kept_slices'}


def _positions_note(case: Case) -> str:
    (note,) = [note for note in case.info['notes'] if 'relative positions' in note]
    return note.split('clean_seg')[0]


def _check_cleaning(case: Case, target: np.ndarray, source: np.ndarray) -> None:
    """The note does not say from which of the two the class is removed before or after rolling: both agree."""
    kept = overlapping_slices(target, source, range(_classes(case)), axis=0)
    assert np.flatnonzero(kept).tolist() == case.info['values']['clean_seg_kept_slices']
    sample = {'fixed_labels': target[None], 'moving_labels': source[None]}
    cleaned = CleanStackLabels(axis=0)(sample)
    for key, before in (('fixed_labels', target), ('moving_labels', source)):
        for number, keep in enumerate(kept):
            assert np.array_equal(cleaned[key][0, number], before[number] if keep else 0 * before[number])
