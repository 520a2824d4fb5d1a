"""Case eoir/ops: warps, integration, composition, resizing and the loss pyramid of the published EOIR code.

Every stored array is described by a text under the JSON's ``what``; inputs, seeds and factors are read from it.
"""

from __future__ import annotations

import re
from functools import reduce

import numpy as np
import torch
from torch.nn import functional as F

from mmreg.spatial import compose, image_pyramid, resize, resize_field, scaling_and_squaring, warp, warp_labels
from mmreg.spatial.pyramid import smoothing_taps
from tests.golden.harness import Case, runner

from . import calls
from .inputs import at_stored


@runner('eoir', lambda case: 'warp_onehot_argmax' in case.info.get('arrays', {}))
def eoir_ops(case: Case) -> None:
    checks = {
        r'warp\w*_linear': _linear,
        r'warp_linear_grad_flow': _linear_gradient,
        r'warp_(nearest|onehot_argmax)': _labels,
        r'vecint\d+': _integral,
        r'vecint\d+_grad': _integral_gradient,
        r'compose': _composition,
        r'upsample\d+_times\d+': _upsampled,
        r'down_\w+': _downsampled,
        r'pyramid_\d+': _level,
        r'pyramid_onehot_\d+': _onehot_level,
        r'gaussian_kernel': _kernel,
    }
    for key in case.arrays:
        (check,) = (function for pattern, function in checks.items() if re.fullmatch(pattern, key))
        check(case, key)


def _inputs(case: Case, key: str) -> list[torch.Tensor]:
    """The arrays named in the text of ``key``, with batch axis: images and labels (1, 1, ...), flows (1, ndim, ...)."""
    what = case.info['what']
    found = []
    for array in calls.arrays(what.get(key) or what['pyramid_k'], case.info['shape']):
        tensor = torch.from_numpy(array)[None]
        is_flow = tensor.dim() >= 4 and tensor.shape[1] == tensor.dim() - 2
        found.append(tensor if is_flow else tensor[None])
    return found


def _number(case: Case, key: str, pattern: str) -> str:
    match = re.search(pattern, case.info['what'][key])
    assert match, f'{case.id} {key}: no {pattern!r} in its description'
    return match.group(1)


def _linear(case: Case, key: str) -> None:
    case.close(key, warp(*_inputs(case, key)))


def _linear_gradient(case: Case, key: str) -> None:
    image, flow = _inputs(case, key.removesuffix('_grad_flow'))
    (weight,) = _inputs(case, key)
    flow.requires_grad_()
    (warp(image, flow) * weight).sum().backward()
    case.close(key, flow.grad)


def _labels(case: Case, key: str) -> None:
    (labels,) = _inputs(case, 'warp_nearest')
    _, flow = _inputs(case, 'warp_linear')
    warped = warp_labels(labels, flow, 'nearest' if key == 'warp_nearest' else 'linear')
    different = float(np.mean(warped.squeeze().numpy() != case.arrays[key].squeeze()))
    assert different <= 5e-4, f'{case.id} {key}: {different:.2%} of the voxels differ'


def _integral(case: Case, key: str) -> None:
    (velocity,) = _inputs(case, key)
    case.close(key, scaling_and_squaring(velocity, int(_number(case, key, r'(\d+) steps'))))


def _integral_gradient(case: Case, key: str) -> None:
    value = key.removesuffix('_grad')
    (velocity,), (weight,) = _inputs(case, value), _inputs(case, key)
    velocity.requires_grad_()
    (scaling_and_squaring(velocity, int(_number(case, value, r'(\d+) steps'))) * weight).sum().backward()
    case.close(key, velocity.grad)


def _composition(case: Case, key: str) -> None:
    case.close(key, compose(*_inputs(case, key)))


def _upsampled(case: Case, key: str) -> None:
    text = case.info['what'][key]
    source = 'upsample2_times2' if text.startswith('same input') else key
    (field,) = _inputs(case, source)
    factor = _number(case, key, r'upsampled (x\d+|\([\d, ]+\))').strip('x()')
    scale = [float(f) for f in factor.split(',')]
    times = float(_number(case, key, r'times (\d+)'))
    case.close(key, resize_field(field, scale=scale if len(scale) > 1 else scale[0], values=times))


def _downsampled(case: Case, key: str) -> None:
    (image,) = _inputs(case, key)
    case.close(key, resize(image, scale=float(_number(case, key, r'resized by ([\d.]+\d)'))))


def _level(case: Case, key: str) -> None:
    (image,) = _inputs(case, key)
    level = int(key.rpartition('_')[2])
    _close_or_strided(case, key, image_pyramid(image, level + 1, kernel='eoir')[level])


def _onehot_level(case: Case, key: str) -> None:
    (labels,) = _inputs(case, key)
    classes = case.arrays[key].shape[-1 - len(case.info['shape'])]
    onehot = F.one_hot(labels[:, 0], classes).movedim(-1, 1).float()
    level = int(key.rpartition('_')[2])
    _close_or_strided(case, key, image_pyramid(onehot, level + 1, kernel='eoir')[level])


def _close_or_strided(case: Case, key: str, actual: torch.Tensor) -> None:
    """Large arrays are stored at every so-many-th voxel."""
    case.close(key, at_stored(actual, case.arrays[key]))


def _kernel(case: Case, key: str) -> None:
    expected = np.squeeze(case.arrays[key])
    taps = [torch.tensor(line, dtype=torch.float64) for line in smoothing_taps('eoir', expected.ndim)]
    case.close(key, reduce(lambda product, line: product.unsqueeze(-1) * line, taps), atol=1e-6)
