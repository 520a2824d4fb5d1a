"""Every backbone with every flow head and every integrator, in 2-D and 3-D: it works, or the build says why not.

The default run has every backbone x head with the head's usual integrator, and every head x integrator on one backbone,
in 2-D and 3-D by turns, and each head once in both; the rest of the triple product is marked slow.
"""

import functools
import io

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.registry import BACKBONES, FLOW_HEADS, REGISTRARS

from .cross_parts import (
    OTHER_BACKBONES,
    PARTS,
    config,
    ends_as_one_sentence,
    natural,
    other_backbone,
    probe,
    refusal,
    spec_of,
)

#: Odd, and no multiple of any stride.
SIZES = {2: (13, 9), 3: (5, 9, 7)}
(BACKBONES_HERE, _), (HEADS_HERE, _), (INTEGRATORS_HERE, _) = PARTS


def combinations():
    """Every triple in both dimensions; slow where the default run already shows each two of the parts together."""
    for i, head in enumerate(HEADS_HERE):
        for j, backbone in enumerate(BACKBONES_HERE):
            for k, integrator in enumerate(INTEGRATORS_HERE):
                usual = integrator == natural(head), backbone == probe(head)
                for ndim in (2, 3):
                    default = all(usual) or (any(usual) and (i + j + k + ndim) % 2 == 0)
                    name = f'{backbone}-{head}-{integrator}-{ndim}d'
                    yield pytest.param(
                        *(backbone, head, integrator, ndim), id=name, marks=[] if default else pytest.mark.slow
                    )


def other_grids():
    """Every further form of a backbone with every head, in both dimensions; by default a third of them in 2-D."""
    for i, head in enumerate(HEADS_HERE):
        for j, name in enumerate(OTHER_BACKBONES):
            for ndim in (2, 3):
                default = ndim == 2 and (i + j) % 3 == 0
                marks = [] if default else pytest.mark.slow
                yield pytest.param(name, head, ndim, id=f'{name}-{head}-{ndim}d', marks=marks)


@functools.cache
def features(backbone, ndim):
    return spec_of(backbone, ndim)


def pair(ndim, channels=1):
    generator = torch.Generator().manual_seed(3)
    shape = (2, 1, *SIZES[ndim])
    images = {
        key: torch.rand(shape, generator=generator).expand(2, channels, *SIZES[ndim]) for key in ('fixed', 'moving')
    }
    labels = {f'{key}_labels': torch.randint(0, 3, shape, generator=generator) for key in ('fixed', 'moving')}
    return images | labels


def build(parts, seed):
    """A model with weights that move something: published starts are next to the identity."""
    torch.manual_seed(seed)
    model = REGISTRARS.build(parts)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def check_training(model, inputs):
    """One forward and backward pass: every number is finite, every weight of the head gets a gradient."""
    terms = model.train()(inputs, mode='loss')
    loss = sum(value for key, value in terms.items() if key.startswith('loss_'))
    loss.backward()
    assert loss.isfinite()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert all(g.isfinite().all() for g in gradients.values())
    missing = [name for name, p in model.flow_head.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing
    if not list(model.flow_head.parameters()):  # free parameters of one pair instead of weights
        assert model.flow_head.field.grad.abs().sum() > 0
        return
    assert any(g.abs().sum() > 0 for g in gradients.values())
    learned = [p for p in model.backbone.parameters() if p.requires_grad]
    assert not learned or any(p.grad is not None and p.grad.abs().sum() > 0 for p in learned)


def check_saving(parts, model, inputs):
    """Weights of one model, read from a file by another one, give the same field; it is on the fixed grid."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    other = build(parts, seed=2)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        found, again = (m.eval()(inputs) for m in (model, other))
    size = inputs['fixed'].shape[2:]
    assert found.displacement.shape == (2, len(size), *size)
    assert all(u.shape == found.displacement.shape for u in found.inverse_displacements[:1])
    assert found.displacement.isfinite().all()
    torch.testing.assert_close(again.displacement, found.displacement)
    if list(model.flow_head.parameters()):
        assert found.displacement.abs().max() > 1e-4


def check(backbone, head, integrator, ndim, spec):
    """The three parts make a model that learns and is saved, or the build refuses them for the reason expected."""
    parts = config(backbone, head, integrator, ndim, spec.siamese)
    reason = refusal(spec, head, integrator)
    if reason is not None:
        with pytest.raises(ConfigError, match=reason) as refused:
            build(parts, seed=1)
        assert ends_as_one_sentence(str(refused.value))
        return
    model = build(parts, seed=1)
    inputs = pair(ndim, spec.image_channels)
    check_training(model, inputs)
    check_saving(parts, model, inputs)


@pytest.mark.parametrize(('backbone', 'head', 'integrator', 'ndim'), list(combinations()))
def test_works_or_says_why_when_it_is_built(backbone, head, integrator, ndim):
    check(backbone, head, integrator, ndim, features(backbone, ndim))


@pytest.mark.parametrize(('name', 'head', 'ndim'), list(other_grids()))
def test_other_grids_work_or_are_refused_when_the_model_is_built(name, head, ndim):
    """Coarse, single, anisotropic and fractional levels: never an error in the forward pass."""
    backbone = other_backbone(name, ndim)
    check(backbone, head, natural(head), ndim, BACKBONES.build(backbone).spec)


@pytest.mark.parametrize(('names', 'forms'), PARTS, ids=['backbones', 'flow heads', 'integrators'])
def test_every_registered_part_has_an_entry(names, forms):
    """A new part cannot be forgotten: the table of tests/models/cross_parts.py is complete and holds nothing else."""
    assert names == sorted(forms)


def test_a_head_that_needs_pairs_says_so_for_every_option():
    """The switches of the pyramid decoder that need a feature map per image are refused on joint features."""
    spec = features('UNet', 2)
    for change in ({}, {'warp': False, 'correlation': {'radius': 1}}, {'warp': False, 'bidirectional': True}):
        with pytest.raises(ConfigError, match='found joint features'):
            FLOW_HEADS.build({'type': 'PyramidHead', 'features': spec, 'channels': 3, **change})
