"""Mixed precision on the processor: fields and losses are float32 and finite, gradients are finite."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from mmreg.registry import MODELS, REGISTRARS
from tests import configs

from . import cross_parts, devices

TYPES = [torch.bfloat16, torch.float16]
SIZES = {2: (16, 24), 3: (16, 8, 8)}
#: Losses are multiplied by one of these before the backward pass; as a scaler does, go down until all is finite.
SCALES = (256.0, 16.0, 1.0, 1 / 16)


class RoundedProducts(TorchDispatchMode):
    """Products of half precision are summed in float32 and rounded, as a GPU's units do.

    A processor without half arithmetic does it, too, but in loops that take minutes for a convolution.
    """

    SLOW = {
        torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default, torch.ops.aten.mm.default,
        torch.ops.aten.bmm.default, torch.ops.aten.addmm.default, torch.ops.aten.baddbmm.default,
    }  # fmt: skip

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        half = [x.dtype for x in args if isinstance(x, torch.Tensor) and x.dtype is torch.float16]
        if func not in self.SLOW or not half:
            return func(*args, **kwargs)
        wide = tree_map_only(torch.Tensor, lambda x: x.float(), (args, kwargs))
        return tree_map_only(torch.Tensor, lambda x: x.half(), func(*wide[0], **wide[1]))


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
    with RoundedProducts():
        _check(model, inputs, dtype)


def _check(model, inputs, dtype):
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
    for scale in SCALES:
        model.zero_grad()
        (scale * loss).backward(retain_graph=scale != SCALES[-1])
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        bad = [name for name, grad in gradients.items() if not grad.isfinite().all()]
        if not bad:
            break
    assert not bad
    assert gradients or not any(p.requires_grad for p in model.flow_head.parameters())


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
    for path in configs.ALL:
        if not path.stem.startswith(('register_', 'spine_elastix')) and 'model' in configs.look(path):
            yield path.stem


@pytest.mark.slow
@pytest.mark.parametrize('dtype', TYPES, ids=str)
@pytest.mark.parametrize('name', list(trainings()))
def test_every_config(name, dtype):
    """At a small size: what a network's numbers are does not depend on it."""
    config = configs.read(configs.FOLDER / f'{name}.py').model
    model = MODELS.build(config)
    check(model, inputs_of(model, (32,) * config.get('ndim', 3)), dtype)
