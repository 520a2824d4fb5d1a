"""Every registered part on the ``meta`` device: forward and backward, with and without autocast, and predictions.

The parts are those of the registries: the small forms of :mod:`tests.models.cross_parts`, and for the losses the calls
of :mod:`tests.models.losses.test_memory`, both of which are held complete by tests of their own.
"""

import pytest
import torch

from mmreg.registry import LOSSES, REGISTRARS

from . import cross_parts, devices
from .losses import test_memory

SIZES = {2: (32, 48), 3: (16, 32, 24)}


def unexpected(found, training):
    return devices.unexpected(found, devices.KNOWN if training else devices.KNOWN_IN_PREDICTION)


@pytest.mark.parametrize('ndim', [pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize('parts', cross_parts.each_part_once(), ids='-'.join)
def test_every_backbone_head_and_integrator(parts, ndim):
    backbone, head, integrator = parts
    spec = cross_parts.spec_of(backbone, ndim)
    assert cross_parts.refusal(spec, head, integrator) is None
    model = REGISTRARS.build(cross_parts.config(backbone, head, integrator, ndim, spec.siamese)).to('meta')
    inputs = devices.inputs_of(model, SIZES[ndim])
    for autocast in (False, True):
        assert unexpected(devices.step(model, inputs, training=True, autocast=autocast), True) == []
        assert unexpected(devices.step(model, inputs, training=False, autocast=autocast), False) == []


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('name', test_memory.OWN)
def test_every_loss(name, autocast):
    case = test_memory.CASES[name]
    loss = LOSSES.build({'type': name, **case.settings}).to('meta')
    inputs = [x.detach().to('meta').requires_grad_(x.is_floating_point()) for x in case.inputs()]
    if autocast:
        inputs = [x.detach().bfloat16().requires_grad_() if x.is_floating_point() else x for x in inputs]

    def run(step):
        with step.forward():
            value = loss(*inputs)
        assert value.dtype is torch.float32
        step.gradients(value, [x for x in inputs if x.requires_grad])

    assert unexpected(devices.watched(run, autocast), True) == []
