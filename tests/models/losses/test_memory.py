"""No loss keeps more for the backward pass than its docstring says, measured with saved-tensor hooks.

One entry per registered loss: the call, and how many volumes (one channel, float32) it may keep besides its inputs,
as the docstring puts it. Image losses count their two images too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import mmreg.models.losses  # noqa: F401
from mmreg.registry import LOSSES

from .helpers_fields import SavedBytes, blocks, onehot

SIZE = (16, 14, 12)
VOLUME = 4 * SIZE[0] * SIZE[1] * SIZE[2]
NDIM, CLASSES, POINTS = 3, 6, 50
#: Bytes of small things: sums, settings, sizes per class.
SLACK = 2048


class Kept(NamedTuple):
    """What a loss is called with, and the volumes it may keep besides those inputs."""

    inputs: Callable[[], tuple[Tensor, ...]]
    volumes: float
    settings: dict[str, Any] = {}


def images() -> tuple[Tensor, ...]:
    return tuple(torch.rand(1, 1, *SIZE, requires_grad=True) for _ in range(2))


def field() -> tuple[Tensor, ...]:
    return (torch.randn(1, NDIM, *SIZE, requires_grad=True),)


def field_and_labels() -> tuple[Tensor, ...]:
    labels = torch.zeros(1, 1, *SIZE, dtype=torch.long)
    labels[:, :, 2:8, 3:11, 3:9], labels[:, :, 9:14, 3:11, 3:9] = 1, 2
    return *(0.1 * x.detach() for x in field()), labels


def two_fields() -> tuple[Tensor, ...]:
    return (*field(), *field())


def three_fields() -> tuple[Tensor, ...]:
    return (*two_fields(), *field())


def groups() -> tuple[Tensor, ...]:
    return tuple(torch.randn(3, NDIM, *SIZE, requires_grad=True) for _ in range(2))


def classes() -> tuple[Tensor, ...]:
    return torch.rand(1, CLASSES, *SIZE, requires_grad=True), onehot(blocks(SIZE, CLASSES), CLASSES, torch.float32)


def points() -> tuple[Tensor, ...]:
    return tuple(torch.rand(1, POINTS, NDIM, requires_grad=True) for _ in range(2))


CASES = {
    # one volume per image that needs a gradient
    **{
        name: Kept(images, 2)
        for name in ('LNCC', 'NCC', 'MIND', 'MINDSSC', 'MutualInformation', 'NMI', 'CorrelationRatio', 'NGF')
    },
    'LocalMutualInformation': Kept(images, 2, {'patch': 4}),
    'MultiScaleLNCC': Kept(images, 2.5),  # two volumes, and an eighth and a sixty-fourth of them and their padding
    'MSE': Kept(images, 1),
    'L1': Kept(images, 1),
    'Charbonnier': Kept(images, 2),
    'Dice': Kept(classes, 0),
    'GeneralisedDice': Kept(classes, 0),
    'CrossEntropy': Kept(classes, 2 * CLASSES),
    'LandmarkDistance': Kept(points, 4 * POINTS * NDIM * 4 / VOLUME),
    # nothing but their inputs
    **{
        name: Kept(field, 0)
        for name in ('Diffusion', 'BendingEnergy', 'Curvature', 'LinearElastic', 'TotalVariation')
        + ('JacobianFolding', 'JacobianVolume', 'NonDiffeomorphicVolume')
    },
    'GaussianKL': Kept(two_fields, 0),
    **{name: Kept(field_and_labels, 0) for name in ('OrthonormalityCondition', 'PropernessCondition', 'Linearity')},
    'RigidField': Kept(field_and_labels, NDIM + 2, {'min_voxels': 10}),
    'RigidDice': Kept(field_and_labels, 2 * 2, {'min_voxels': 10, 'num_iterations': 2}),  # two bodies
    'InverseConsistency': Kept(two_fields, 4 * NDIM),
    'ICON': Kept(two_fields, 2 * 3 * NDIM),
    'GradICON': Kept(two_fields, 2 * (1 + NDIM) * 3 * NDIM),
    'Cycle': Kept(two_fields, 2 * NDIM),
    'MagnitudeBalance': Kept(two_fields, 0),
    'GroupCycle': Kept(groups, 2 * (2 * NDIM + 1)),
    'GroupConsistency': Kept(three_fields, 2 * NDIM),
}
OWN = sorted(name for name, cls in LOSSES.module_dict.items() if cls.__module__.startswith('mmreg.'))


def kept(call: Callable[..., Tensor], *inputs: Tensor) -> float:
    """Volumes that autograd keeps besides the inputs."""
    for x in inputs:
        if x.is_floating_point() and not x.requires_grad and x.shape[1] == NDIM:
            x.requires_grad_()
    with SavedBytes(*inputs) as saved:
        value = call(*inputs)
    assert value.grad_fn is not None
    return (saved.total - SLACK) / VOLUME


def test_every_loss_is_measured():
    assert set(CASES) == set(OWN)


@pytest.mark.parametrize('name', OWN)
def test_saves_no_more_than_its_docstring_says(name):
    case = CASES[name]
    loss = LOSSES.build({'type': name, **case.settings})
    found = kept(loss, *case.inputs())
    assert found <= case.volumes, f'{name} keeps {found:.2f} volumes, its docstring says {case.volumes}'


@pytest.mark.parametrize('name, volumes', [('Dice', 2), ('GeneralisedDice', 2), ('CrossEntropy', 2 + 3)])
def test_label_maps_cost_the_same_for_any_number_of_classes(name, volumes):
    moving, fixed = blocks(SIZE, 40), blocks(SIZE, 40, seed=1)
    loss = LOSSES.build({'type': name})
    assert kept(lambda u: loss.from_labels(moving, fixed, u, range(40)), *field()) <= volumes
