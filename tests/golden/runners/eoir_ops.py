"""Case eoir/ops: warps, integration, composition, resizing and the loss pyramid of the published EOIR code."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from mmreg.spatial import compose, image_pyramid, resize, resize_field, scaling_and_squaring, warp, warp_labels
from mmreg.spatial.pyramid import smoothing_taps
from tests.golden import fill
from tests.golden.harness import Case, runner


def _image(seed: int, shape: list[int]) -> torch.Tensor:
    return torch.from_numpy(fill.image(seed, tuple(shape)))[None, None]


def _flow(seed: int, shape: list[int], amplitude: float) -> torch.Tensor:
    return torch.from_numpy(fill.flow(seed, tuple(shape), amplitude))[None]


def _labels(seed: int, shape: list[int], n: int) -> torch.Tensor:
    return torch.from_numpy(fill.labels(seed, tuple(shape), n))[None, None]


def _agree(case: Case, key: str, actual: torch.Tensor, share: float) -> None:
    """Label maps may differ where rounding decides: in at most ``share`` of the voxels."""
    different = float(np.mean(actual.squeeze().numpy() != case.arrays[key].squeeze()))
    assert different <= share, f'{case.id} {key}: {different:.2%} of the voxels differ'


@runner('eoir', lambda case: 'warp_onehot_argmax' in case.info.get('arrays', {}))
def eoir_ops(case: Case) -> None:
    shape = case.info['shape']
    checks = (_warps, _integration, _resizing, _pyramid)
    done = set().union(*(check(case, shape) for check in checks))
    assert done == set(case.arrays), f'{case.id}: not compared {set(case.arrays) - done}'


def _warps(case: Case, shape: list[int]) -> set[str]:
    flow = _flow(3, shape, 5.0).requires_grad_()
    warped = warp(_image(1, shape), flow)
    case.close('warp_linear', warped)
    (warped * _image(2, shape)).sum().backward()
    case.close('warp_linear_grad_flow', flow.grad)
    labels = _labels(4, shape, 6)
    _agree(case, 'warp_nearest', warp_labels(labels, flow), 5e-4)
    _agree(case, 'warp_onehot_argmax', warp_labels(labels, flow, 'linear'), 5e-4)
    case.close('warp2d_linear', warp(_image(1, shape[:2]), _flow(3, shape[:2], 3.0)))
    return {'warp_linear', 'warp_linear_grad_flow', 'warp_nearest', 'warp_onehot_argmax', 'warp2d_linear'}


def _integration(case: Case, shape: list[int]) -> set[str]:
    velocity = _flow(6, shape, 3.0).requires_grad_()
    displacement = scaling_and_squaring(velocity, 7)
    case.close('vecint7', displacement)
    (displacement * _flow(7, shape, 1.0)).sum().backward()
    case.close('vecint7_grad', velocity.grad)
    case.close('compose', compose(_flow(6, shape, 3.0), _flow(7, shape, 2.0)))
    return {'vecint7', 'vecint7_grad', 'compose'}


def _resizing(case: Case, shape: list[int]) -> set[str]:
    small = _flow(8, [n // 2 for n in shape], 2.0)
    case.close('upsample2_times2', resize_field(small, scale=2))
    case.close('upsample221_times2', resize_field(small, scale=(2, 2, 1), values=2))
    case.close('down_half', resize(_image(1, shape), scale=0.5))
    case.close('down_half_of_odd_size', resize(_image(1, [n + 1 for n in shape]), scale=0.5))
    return {'upsample2_times2', 'upsample221_times2', 'down_half', 'down_half_of_odd_size'}


def _pyramid(case: Case, shape: list[int]) -> set[str]:
    size = [32, 32, 32]
    levels = image_pyramid(_image(1, size), 5, kernel='eoir')
    case.close('pyramid_1', levels[1][..., ::2, ::2, ::2])
    for k in (2, 3, 4):
        case.close(f'pyramid_{k}', levels[k])
    onehot = F.one_hot(_labels(4, size, 5)[:, 0], 5).movedim(-1, 1).float()
    case.close('pyramid_onehot_2', image_pyramid(onehot, 3, kernel='eoir')[2])
    first, second, third = (torch.tensor(line) for line in smoothing_taps('eoir', 3))
    case.close('gaussian_kernel', first[:, None, None] * second[:, None] * third, atol=1e-6)
    return {'pyramid_1', 'pyramid_2', 'pyramid_3', 'pyramid_4', 'pyramid_onehot_2', 'gaussian_kernel'}
