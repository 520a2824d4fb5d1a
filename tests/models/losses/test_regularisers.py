"""Bending, curvature, elasticity, total variation: closed forms, invariances, scaling, gradients, memory."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.models.losses.regularisers import BendingEnergy, Curvature, LinearElastic, TotalVariation

from .helpers_fields import SavedBytes, gradients_agree, random_field, rigid_field, wave

SIZES = [(5, 6), (4, 5, 6)]
SECOND_ORDER = [BendingEnergy, Curvature]
ALL = [BendingEnergy, Curvature, LinearElastic, TotalVariation]


def grid(size):
    return torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in size], indexing='ij'))[None]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('part', [*ALL, lambda **k: BendingEnergy(scheme='forward', **k)])
@pytest.mark.parametrize('masked', [False, True])
def test_gradient(size, part, masked):
    field = random_field(size, batch=2).requires_grad_()
    mask = torch.rand(2, 1, *size, dtype=torch.float64) if masked else None
    loss = part(unit='mm', spacing=[1.0, 2.0, 0.5][: len(size)])
    assert gradients_agree(lambda u: loss(u, mask=mask), field)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('part', SECOND_ORDER)
def test_affine_maps_cost_nothing_in_second_order(size, part):
    matrix = torch.randn(len(size), len(size), dtype=torch.float64)
    field = torch.tensordot(matrix, grid(size)[0], 1)[None] + 3
    assert part()(field).item() == pytest.approx(0, abs=1e-20)
    assert part()(field + grid(size) ** 2).item() > 1


@pytest.mark.parametrize('part', ALL)
def test_a_shift_costs_nothing_and_has_no_gradient(part):
    field = torch.full((1, 3, 5, 5, 5), 2.0, requires_grad=True)
    loss = part()(field)
    loss.backward()
    assert loss.item() == 0 and not field.grad.any()


@pytest.mark.parametrize('size', SIZES)
def test_bending_of_a_quadratic_field(size):
    """u_0 = x_0^2 + x_0 x_1: d00 = 2, d01 = d10 = 1."""
    x = grid(size)
    field = torch.zeros_like(x)
    field[:, 0] = x[:, 0] ** 2 + x[:, 0] * x[:, 1]
    assert BendingEnergy()(field).item() == pytest.approx(4 + 2 * 1)
    assert BendingEnergy(unit='mm', spacing=2.0)(field).item() == pytest.approx(6 / 4)
    assert Curvature()(field).item() == pytest.approx(4)


@pytest.mark.parametrize('size', SIZES)
def test_published_bending_by_the_book(size):
    field = random_field(size, batch=2)

    def forward(x, axis):
        return torch.cat([x, x.narrow(axis, -1, 1)], axis).diff(dim=axis)

    axes = range(2, field.dim())
    total = sum(forward(forward(field, a), b).square().sum(1).mean() for a in axes for b in axes)
    torch.testing.assert_close(BendingEnergy(scheme='forward')(field), total)


@pytest.mark.parametrize('size', SIZES)
def test_elastic_energy_of_a_stretch_and_of_a_shear(size):
    x = grid(size)
    n = len(size)
    stretch = LinearElastic(mu=2.0, lam=3.0)(0.1 * x).item()
    assert stretch == pytest.approx(1.5 * (0.1 * n) ** 2 + 2 * n * 0.1**2)
    shear = torch.zeros_like(x)
    shear[:, 0] = 0.2 * x[:, 1]
    assert LinearElastic(mu=2.0, lam=3.0)(shear).item() == pytest.approx(2 * 2 * 0.1**2)


def test_small_rotations_cost_next_to_nothing_elastically():
    loss = LinearElastic()
    small, large = (loss(rigid_field((7, 7, 7), (a, 0.0, 0.0), (1.0, 2.0, 0.0))).item() for a in (0.01, 0.1))
    assert small < 2e-8
    assert large / small == pytest.approx(1e4, rel=0.05)  # fourth power of the angle


def test_total_variation_of_a_step_does_not_depend_on_its_width():
    def ramp(width):
        return (torch.arange(41, dtype=torch.float64) - 20).clamp(0, width)[None, None, :, None] / width

    def field(width):
        profile = ramp(width).expand(1, 1, 41, 5)
        return torch.cat([profile, torch.zeros_like(profile)], 1)

    loss = TotalVariation(eps=1e-9)
    torch.testing.assert_close(loss(field(1)), loss(field(10)))
    assert loss(field(1)).item() == pytest.approx(1 / 40)


def test_coupled_total_variation_by_the_book():
    field = random_field((4, 5))
    d = torch.stack([field.diff(dim=2)[:, :, :, :-1], field.diff(dim=3)[:, :, :-1]])
    coupled = d.square().sum((0, 2)).add(1e-6).sqrt().sub(1e-3).mean()
    apart = d.square().sum(0).add(1e-6).sqrt().sub(1e-3).sum(1).mean()
    torch.testing.assert_close(TotalVariation()(field), coupled)
    torch.testing.assert_close(TotalVariation(coupled=False)(field), apart)


@pytest.mark.parametrize('part', ALL)
def test_mm_value_does_not_depend_on_the_sampling(part):
    spacing = [1.0, 1.5, 3.0]
    coarse, fine = wave((23, 27, 29)), wave((45, 53, 57))
    values = part(unit='mm', spacing=spacing)(coarse), part(unit='mm', spacing=[s / 2 for s in spacing])(fine)
    torch.testing.assert_close(*values, rtol=0.04, atol=0)


@pytest.mark.parametrize('part', SECOND_ORDER)
def test_voxel_value_of_second_order_falls_with_the_square_of_the_step(part):
    ratio = part()(wave((25, 29))) / part()(wave((49, 57)))
    assert ratio.item() == pytest.approx(4, rel=0.06)
    ratio = part(unit='normalised')(wave((25, 29))) / part(unit='normalised')(wave((49, 57)))
    assert ratio.item() == pytest.approx(1, rel=0.06)


@pytest.mark.parametrize('part', ALL)
def test_saves_nothing_but_the_field(part):
    field = torch.randn(1, 3, 12, 12, 12, requires_grad=True)
    with SavedBytes(field) as saved:
        loss = part()(field)
    assert saved.total <= 4096
    loss.backward()
    assert field.grad.isfinite().all()


@pytest.mark.parametrize('part', ALL)
def test_mask_of_zeros_gives_zero(part):
    field = torch.randn(1, 2, 6, 6, requires_grad=True)
    loss = part()(field, mask=torch.zeros(1, 1, 6, 6))
    loss.backward()
    assert loss.item() == 0 and not field.grad.any()


def test_refusals():
    with pytest.raises(ConfigError, match='scheme'):
        BendingEnergy(scheme='upwind')
    with pytest.raises(ConfigError, match='mu'):
        LinearElastic(mu=-1)
    with pytest.raises(ConfigError, match='eps'):
        TotalVariation(eps=0)
    with pytest.raises(DataError, match='at least 3 voxels'):
        BendingEnergy()(torch.zeros(1, 2, 2, 9))
