"""Registration without training: known motions come back, whatever the axes, levels, rules and batches."""

import pytest
import torch

from mmreg.engine.optimisation import optimise
from mmreg.registry import REGISTRARS
from mmreg.spatial import gaussian_filter, jacobian_determinant, warp

LEVELS = [dict(scale=2, iterations=15), dict(scale=1, iterations=15)]


def make_model(ndim=2, losses=None, **head):
    return REGISTRARS.build(
        dict(
            type='Registrar',
            backbone=dict(type='ImagePyramid', levels=1, any_size=True),
            flow_head=dict(type='FreeField', **head),
            losses=losses or dict(similarity=dict(type='LNCC', window=5)),
            ndim=ndim,
        )
    )


def make_pair(size=(48, 40), seed=0, amplitude=8.0):
    """A textured moving image and the fixed one that a known smooth displacement makes of it."""
    generator = torch.Generator().manual_seed(seed)
    moving = gaussian_filter(torch.randn(1, 1, *size, generator=generator), 1.5, padding='border')
    moving = (moving - moving.min()) / (moving.max() - moving.min())
    true = gaussian_filter(torch.randn(1, len(size), *size, generator=generator), 6.0)
    true = true * (amplitude / 4 / true.abs().max())
    return warp(moving, true), moving, true


def register(fixed, moving, model=None, start=None, progress=None, spacing=None, **settings):
    inputs = dict(fixed=fixed, moving=moving)
    if spacing is not None:
        inputs['spacing'] = spacing
    model = model or make_model(fixed.dim() - 2)
    return optimise(model, inputs, {'levels': LEVELS, **settings}, start=start, progress=progress)


@pytest.mark.parametrize('size', [(48, 40), (24, 28, 20)])
@pytest.mark.parametrize('rule', ['plain', 'component', 'length'])
def test_known_motion_comes_back(size, rule):
    fixed, moving, true = make_pair(size)
    result = register(fixed, moving, rule=rule)
    before = true.norm(dim=1)[..., 4:-4].mean()
    after = (result.displacement - true).norm(dim=1)[..., 4:-4].mean()
    assert after < 0.4 * before
    assert result.folds == [0.0] and float(jacobian_determinant(result.displacement).min()) > 0
