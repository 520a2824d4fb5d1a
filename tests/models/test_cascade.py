"""The cascade: composition of its stages, both directions, and that more stages than one matter."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.registry import REGISTRARS
from mmreg.spatial import compose, warp


def registrar(stages, ndim=2, **changes):
    config = {
        'type': 'CascadeRegistrar',
        'stages': stages,
        'ndim': ndim,
        'backbone': {'type': 'UNet', 'features': ((4, 6), (6, 6, 4))},
        'flow_head': {'type': 'ConvFlowHead', 'int_downsize': 2, 'bidirectional': True, 'init_std': 0.3},
        'integrator': {'type': 'ScalingSquaring', 'steps': 6},
        'losses': {'similarity': {'type': 'MSE'}, 'smoothness': {'type': 'Diffusion', 'on': 'displacement'}},
    }
    torch.manual_seed(0)
    return REGISTRARS.build({**config, **changes})


@pytest.mark.parametrize('ndim', [2, 3])
def test_stages_are_composed(pair, ndim):
    """Three stages by hand: each sees the original moving image, warped once by the composition."""
    inputs = pair((8, 12, 8)[:ndim], batch=2)
    once, thrice = registrar(1, ndim).eval(), registrar(3, ndim).eval()
    with torch.no_grad():
        total = once(inputs).displacement
        for _ in range(2):
            step = once({'fixed': inputs['fixed'], 'moving': warp(inputs['moving'], total)}).displacement
            total = compose(total, step)
        fields = thrice(inputs)
    torch.testing.assert_close(fields.displacement, total)
    assert len(fields.extras['stages']) == 3
    assert (fields.displacement - fields.extras['stages'][0]).abs().max() > 0.1


def test_backward_field_inverts_the_composition():
    axes = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing='ij')
    blob = [torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 16) ** 2) / 60)[None, None] for c in (14.0, 18.0)]
    model = registrar(2).eval()
    with torch.no_grad():
        model.flow_head.flow.conv.weight.mul_(0.5)
        fields = model({'fixed': blob[0], 'moving': blob[1]})
    forward, backward = fields.displacement, fields.inverse_displacements[0]
    left = compose(forward, backward)[..., 6:-6, 6:-6].abs().mean()
    assert forward[..., 6:-6, 6:-6].abs().mean() > 0.05
    assert left < 0.1 * forward[..., 6:-6, 6:-6].abs().mean()


def test_all_weights_train_with_odd_sizes(pair):
    model = registrar(2, flow_head={'type': 'ConvFlowHead'})
    result = model(pair((9, 11)), mode='loss')
    (result['loss_similarity'] + result['loss_smoothness']).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_no_stage_is_refused():
    with pytest.raises(ConfigError, match='stages is 0'):
        registrar(0)
