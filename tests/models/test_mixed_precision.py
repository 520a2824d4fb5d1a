"""Mixed precision on the processor: fields and losses are float32 and finite, gradients are finite."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmreg.registry import MODELS, REGISTRARS

from . import cross_parts, devices

CONFIGS = Path(__file__).parents[2] / 'configs'
TYPES = [torch.bfloat16, torch.float16]
SIZES = {2: (16, 24), 3: (16, 8, 8)}
#: Losses are multiplied by as much in float16 before the backward pass, as a scaler does: small gradients survive.
SCALE = 256.0


def inputs_of(model, size):
    """Images with something in them, label maps with two labels, landmarks."""
    make = torch.Generator().manual_seed(1)
    inputs = devices.inputs_of(model, size)
    for name, value in inputs.items():
        if name in devices.LANDMARKS:
            inputs[name] = [torch.rand(x.shape, generator=make) * (min(size) - 1) for x in value]
        elif value.is_floating_point():
            inputs[name] = torch.rand(value.shape, generator=make)
        else:
            inputs[name] = torch.randint(0, 2, value.shape, generator=make)
    return inputs


def check(model, inputs, dtype):
    """One step: what has to be in full precision is, and nothing overflows."""
    model.train()
    with torch.autocast('cpu', dtype):
        fields = model(dict(inputs))
        terms = model(dict(inputs), None, mode='loss')
    for field in (*fields.displacements, *fields.inverse_displacements):
        assert field.dtype is torch.float32 and field.isfinite().all()
    for name, value in terms.items():
        assert value.dtype is torch.float32 and value.isfinite(), name
    loss = sum(value for name, value in terms.items() if name.startswith('loss'))
    if not loss.requires_grad:
        return
    (SCALE * loss).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert gradients or not any(p.requires_grad for p in model.flow_head.parameters())
    assert not [name for name, grad in gradients.items() if not grad.isfinite().all()]


@pytest.mark.parametrize('dtype', TYPES, ids=str)
@pytest.mark.parametrize('ndim', [pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize('parts', cross_parts.each_part_once(), ids='-'.join)
def test_every_part(parts, ndim, dtype):
    backbone, head, integrator = parts
    spec = cross_parts.spec_of(backbone, ndim)
    model = REGISTRARS.build(cross_parts.config(backbone, head, integrator, ndim, spec.siamese))
    check(model, inputs_of(model, SIZES[ndim]), dtype)


@pytest.mark.parametrize('head', cross_parts.PARTS[1][0])
def test_every_head_without_integration(head):
    """Nothing after the head can put right what it hands out in half precision."""
    backbone, integrator = cross_parts.probe(head), 'IdentityIntegrator'
    spec = cross_parts.spec_of(backbone, 3)
    if cross_parts.refusal(spec, head, integrator):
        integrator = cross_parts.natural(head)
    model = REGISTRARS.build(cross_parts.config(backbone, head, integrator, 3, spec.siamese))
    check(model, inputs_of(model, SIZES[3]), torch.bfloat16)


def trainings():
    for path in sorted(CONFIGS.glob('*.py')):
        if not path.stem.startswith(('register_', 'spine_elastix')) and 'model' in Config.fromfile(path):
            yield path.stem


@pytest.mark.slow
@pytest.mark.parametrize('dtype', TYPES, ids=str)
@pytest.mark.parametrize('name', list(trainings()))
def test_every_config(name, dtype):
    """At a small size: what a network's numbers are does not depend on it."""
    config = Config.fromfile(CONFIGS / f'{name}.py').model
    model = MODELS.build(config)
    check(model, inputs_of(model, (32,) * config.get('ndim', 3)), dtype)
