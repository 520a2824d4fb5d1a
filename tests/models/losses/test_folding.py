"""Penalties on the Jacobian determinant."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.models.losses.folding import JacobianFolding, JacobianVolume, NonDiffeomorphicVolume

from .helpers_fields import SavedBytes, gradients_agree, random_field, rigid_field

SIZES = [(5, 6), (4, 5, 6)]
ALL = [JacobianFolding, JacobianVolume, NonDiffeomorphicVolume]


def scaled(size, factor):
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in size], indexing='ij'))[None]
    return (factor - 1) * grid


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(
    'loss',
    [
        JacobianFolding(margin=0.3),
        JacobianFolding(scheme='central', crop=1),
        JacobianVolume('l2'),
        JacobianVolume('log', scheme='forward'),
        NonDiffeomorphicVolume(),
    ],
)
def test_gradient(size, loss):
    field = random_field(size, 1.5, batch=2).requires_grad_()
    mask = torch.rand(2, 1, *size, dtype=torch.float64)
    assert loss(field).item() > 0
    assert gradients_agree(loss, field)
    assert gradients_agree(lambda u: loss(u, mask=mask), field)


@pytest.mark.parametrize('size', [(6, 7), (5, 6, 7)])
@pytest.mark.parametrize(
    'loss', [JacobianFolding(), JacobianVolume('l1'), JacobianVolume('log'), NonDiffeomorphicVolume()]
)
def test_rigid_motions_cost_nothing(size, loss):
    field = rigid_field(size, (0.3, -0.2, 0.1), (1.0, -2.0, 0.5)[: len(size)])
    assert loss(field).item() == pytest.approx(0, abs=1e-12)
    assert loss(torch.zeros_like(field)).item() == 0


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('part', ALL)
def test_value_is_the_same_in_every_unit(size, part):
    field = random_field(size, 1.5)
    value = part()(field)
    torch.testing.assert_close(part(unit='mm', spacing=[1.0, 2.5, 0.7][: len(size)])(field), value)
    torch.testing.assert_close(part(unit='normalised')(field), value)
    with pytest.raises(ConfigError, match='lku'):
        part(unit='lku')


@pytest.mark.parametrize('size', SIZES)
def test_uniform_scaling_has_a_closed_form(size):
    n = len(size)
    field = scaled(size, 1.2)
    assert JacobianVolume('l2')(field).item() == pytest.approx((1.2**n - 1) ** 2)
    assert JacobianVolume('l1')(field).item() == pytest.approx(1.2**n - 1)
    grown, shrunk = JacobianVolume()(field).item(), JacobianVolume()(scaled(size, 1 / 1.2)).item()
    assert grown == pytest.approx(shrunk)
    assert JacobianFolding(margin=2.0)(field).item() == pytest.approx(2 - 1.2**n)


@pytest.mark.parametrize('size', SIZES)
def test_mirrored_axis_folds_everywhere(size):
    field = torch.zeros(1, len(size), *size, dtype=torch.float64)
    field[:, :1] = scaled(size, -1.0)[:, :1]
    assert JacobianFolding()(field).item() == pytest.approx(1)
    assert NonDiffeomorphicVolume()(field).item() == pytest.approx(1)


def test_non_diffeomorphic_volume_sees_folds_between_voxels():
    """A checkerboard of shifts folds between neighbours, where central differences see nothing."""
    size = (8, 8, 8)
    index = torch.stack(torch.meshgrid(*[torch.arange(n) for n in size], indexing='ij'))
    field = 1.2 * (index % 2).double()[None]
    assert JacobianFolding(scheme='central', crop=1)(field).item() == 0
    assert NonDiffeomorphicVolume()(field).item() > 0.01


def test_gradient_undoes_folds():
    field = random_field((8, 8, 8), 0.8).requires_grad_()
    optimiser = torch.optim.SGD([field], lr=20.0)
    before = NonDiffeomorphicVolume()(field).item()
    for _ in range(60):
        optimiser.zero_grad()
        loss = NonDiffeomorphicVolume()(field)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1 * before


def test_log_volume_has_a_finite_gradient_that_opens_a_fold():
    field = scaled((5, 5), 1.0)
    field[:, :1] = scaled((5, 5), -0.5)[:, :1]
    field.requires_grad_()
    JacobianVolume()(field).backward()
    step = field.detach() - 1e-4 * field.grad
    assert field.grad.isfinite().all() and JacobianVolume()(step) < JacobianVolume()(field)


@pytest.mark.parametrize('part', ALL)
def test_saves_nothing_but_the_field(part):
    field = torch.randn(1, 3, 12, 12, 12, requires_grad=True)
    with SavedBytes(field) as saved:
        loss = part()(field)
    assert saved.total <= 4096
    loss.backward()


def test_mask_restricts():
    field = random_field((6, 6), 1.0)
    mask = torch.zeros(1, 1, 6, 6)
    mask[:, :, :3] = 1
    inside = JacobianFolding()(field[:, :, :4])
    torch.testing.assert_close(JacobianFolding()(field, mask=mask), inside)


def test_refusals():
    with pytest.raises(ConfigError, match='scheme'):
        JacobianFolding(scheme='spectral')
    with pytest.raises(ConfigError, match='penalty'):
        JacobianVolume('cube')
    with pytest.raises(DataError, match='voxels'):
        JacobianFolding(crop=3)(torch.zeros(1, 2, 6, 6))
