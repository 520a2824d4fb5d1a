"""Co-attention in EOIR's pyramid."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.registry import BACKBONES, REGISTRARS
from mmreg.utils.config import load_config

ENCODER = dict(type='EOIREncoder', channels=4)


def build(kind='CoAttentionPyramid', **kwargs):
    torch.manual_seed(0)
    return BACKBONES.build(dict(type=kind, encoder=ENCODER, levels=3, ndim=2, **kwargs))


def test_it_starts_as_the_plain_pyramid_and_then_exchanges():
    plain, ours = build('ResizePyramid'), build(attended=2, heads=2)
    ours.load_state_dict(plain.state_dict(), strict=False)
    fixed, moving = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    for a, b in zip(plain(fixed, moving), ours(fixed, moving)):
        torch.testing.assert_close(a, b)
    for exchange in ours.exchange:
        torch.nn.init.constant_(exchange.gain, 0.5)
    other = ours(fixed, torch.rand(2, 1, 16, 16))
    found = ours(fixed, moving)
    assert torch.equal(found[0][0], other[0][0]), 'the finest level sees one image only'
    assert not torch.allclose(found[2][0], other[2][0]), 'the coarse ones see both'
    swapped = ours(moving, fixed)
    torch.testing.assert_close(swapped[2][0], found[2][1])


def test_gains_learn():
    ours = build(attended=1, heads=2)
    ours(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))[-1][0].square().sum().backward()
    assert float(ours.exchange[0].gain.grad.abs()) > 0


def test_what_cannot_be_is_refused():
    for wrong in (dict(attended=4), dict(attended=0), dict(heads=3)):
        with pytest.raises(ConfigError, match='CoAttentionPyramid'):
            build(**wrong)


def test_the_config_is_eoir_with_another_backbone():
    model = load_config('configs/eoir_lumir_coattention.py').model
    model.backbone.encoder.channels = 4
    built = REGISTRARS.build(model)
    losses = built({role: torch.rand(1, 1, 32, 32, 32) for role in ('fixed', 'moving')}, mode='loss')
    assert torch.isfinite(sum(value for key, value in losses.items() if 'loss' in key))
