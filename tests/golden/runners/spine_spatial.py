"""Case spine_biomech/spatial_ops: warp, resizing of flows, scaling and squaring."""

from __future__ import annotations

import numpy as np
import torch

from mmreg.spatial import resize_field, scaling_and_squaring, warp
from tests.golden.harness import Case, runner

from . import calls
from .inputs import at_stored


@runner('spine_biomech', lambda case: {'resize_x2', 'warp_nearest'} <= set(case.info.get('arrays', {})))
def spatial_ops(case: Case) -> None:
    inputs = case.info['inputs']
    image = torch.from_numpy(calls.array(inputs['image'], inputs['shape']))[None, None]
    flow = torch.from_numpy(calls.array(inputs['flow'], inputs['shape']))[None]
    velocity = torch.from_numpy(calls.array(inputs['velocity'].replace('half shape', 'shape'), inputs['half']))[None]
    if case.info['results'].get('resize_x1_is_identity'):
        assert torch.equal(resize_field(velocity, scale=1), velocity)
    tolerance = {name: case.info['tolerance'][name] for name in ('atol', 'rtol')}
    for key, expected in case.arrays.items():
        name, _, argument = key.rpartition('_')
        if key == 'warp_nearest':
            _compare_nearest(case, at_stored(warp(image, flow, 'nearest'), expected), expected)
            continue
        if key == 'warp_bilinear':
            actual = warp(image, flow)
        elif name == 'resize':
            factor = float(argument.removeprefix('x'))
            actual = resize_field(velocity if factor > 1 else flow, scale=factor)
        elif name == 'integrate':
            actual = scaling_and_squaring(velocity, int(argument))
        else:
            raise AssertionError(f'{case.id}: no computation for the stored array {key}')
        case.close(key, at_stored(actual, expected), **tolerance)


def _compare_nearest(case: Case, actual: torch.Tensor, expected: np.ndarray) -> None:
    """Half-way ties may go either way: in at most one voxel of a thousand."""
    different = float(np.mean(np.abs(actual.numpy() - expected) > 1e-4))
    assert different <= 1e-3, f'{case.id} warp_nearest: {different:.2%} of the voxels differ'
