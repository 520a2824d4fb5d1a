"""Golden case of the stress tests' deformations."""

from __future__ import annotations

import re

import numpy as np
import torch

from mmreg.evaluation.functional.field_error import end_point_errors, lengths
from mmreg.evaluation.stress import deformations
from tests.golden.harness import Case, runner

from .calls import array
from .inputs import at_stored


@runner('pyramid_designs', 'stress_deformations')
def stress_deformations(case: Case) -> None:
    inputs, results = case.info['inputs'], case.info['results']
    shape, spacing, seed = inputs['shape'], inputs['spacing'], inputs['seed']
    mask = torch.from_numpy(_above(inputs['mask'], shape))
    _translations(case, results['translation_vectors_voxels'], spacing, seed)
    for name, text in case.info['cases'].items():
        recipe, inside = _recipe(text), mask if 'mask' in text.split(', calibrated')[0].replace('no mask', '') else None
        generator = torch.Generator().manual_seed(seed)
        fields = deformations.velocity_fields(shape, spacing, inputs['target_mm'], generator, recipe, inside)
        _velocity(case, name, fields, spacing, inside, results[name])
    control = torch.from_numpy(array(inputs['control'], shape))
    _close(case, 'bspline_upsampled', deformations.bspline_upsample(control, shape))
    sigma = float(re.search(r'with sigma ([\d.]+)', inputs['smooth']).group(1))
    field = torch.from_numpy(array(inputs['smooth'], shape))[None]
    _close(case, 'gaussian_smoothed', deformations.smooth(field, sigma))
    seeds = [int(n) for n in re.findall(r'image\((\d+)\)', inputs['overlap'])]
    level = float(re.search(r'threshold ([\d.]+)', inputs['overlap']).group(1))
    masks = [torch.from_numpy(array(f'image({n}, shape)', shape) > level) for n in seeds]
    overlap = deformations.foreground_overlap(*masks)
    case.close('foreground_overlap', overlap, results['foreground_overlap'], **_tolerance(case))


def _tolerance(case: Case) -> dict[str, float]:
    return {name: float(value) for name, value in case.info['tolerance'].items()}


def _above(text: str, shape: list[int]) -> np.ndarray:
    call, level = text.rsplit('>', 1)
    return array(call, shape) > float(level)


def _recipe(text: str) -> deformations.VelocityRecipe:
    number = r'sigma ([\d.]+)'
    control = int(re.search(r'points (\d+)\^', text).group(1))
    smoothing = re.search(r'control smoothing ' + number, text)
    masking = re.search(r'mask smoothed with ' + number, text)
    return deformations.VelocityRecipe(
        control=control,
        smoothing=float(smoothing.group(1)) if smoothing else 0.0,
        mask_smoothing=float(masking.group(1)) if masking else 5.0,
        statistic='mean' if 'on the mean' in text else 'max' if 'on the maximum' in text else 'p95',
    )


def _translations(case: Case, expected: list, spacing: list[float], seed: int) -> None:
    stored = np.asarray(expected)
    magnitudes = np.linalg.norm(stored[:, 0] * spacing, axis=1).round(3).tolist()
    generator = torch.Generator().manual_seed(seed)
    found = deformations.translation_vectors(magnitudes, stored.shape[1], spacing, generator)
    case.close('translations', found, stored, **_tolerance(case))


def _velocity(case: Case, name: str, fields: tuple, spacing: list[float], mask: torch.Tensor | None, expected) -> None:
    forward, inverse = fields
    _close(case, f'{name}_forward', forward)
    _close(case, f'{name}_inverse', inverse)
    size = lengths(forward[0], spacing)
    error = end_point_errors(forward[0], inverse[0], spacing)
    if mask is not None:
        size, error = size[mask], error[mask]
    found = {'mean': size.mean(), 'std': size.std(), 'max': size.max(), 'p95': deformations.quantile(size, 0.95)}
    for key, value in found.items():
        case.close(f'{name} {key}', value, expected[key], **_tolerance(case))
    for key, value in expected['endpoint_error_forward_vs_inverse'].items():
        actual = error.mean() if key == 'mean' else deformations.quantile(error, float(key[1:]) / 100)
        case.close(f'{name} error {key}', actual, value, **_tolerance(case))


def _close(case: Case, key: str, field: torch.Tensor) -> None:
    told = re.search(r'stride (\d+)', case.info.get('subsample', ''))
    value = at_stored(field, case.arrays[key], int(told.group(1)) if told else None)
    case.close(key, value, **_tolerance(case))
