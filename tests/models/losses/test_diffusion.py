"""The diffusion regulariser: definition, units, gradient, memory."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.models.losses.diffusion import Diffusion

from .helpers_fields import SavedBytes, gradients_agree, random_field, wave

SIZES = [(5, 7), (4, 5, 6)]


def plain(field, power):
    """Mean per axis, then mean over axes, by the book."""
    terms = []
    for axis in range(2, field.dim()):
        terms.append((field.diff(dim=axis).abs() ** power).mean())
    return sum(terms) / len(terms)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('penalty', ['l1', 'l2'])
def test_definition(size, penalty):
    field = random_field(size, batch=2)
    torch.testing.assert_close(Diffusion(penalty)(field), plain(field, int(penalty[1])))


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('penalty', ['l1', 'l2'])
@pytest.mark.parametrize('reduction', ['mean', 'energy'])
@pytest.mark.parametrize('masked', [False, True])
def test_gradient(size, penalty, reduction, masked):
    field = random_field(size, batch=2).requires_grad_()
    mask = torch.rand(2, 1, *size, dtype=torch.float64) if masked else None
    loss = Diffusion(penalty, unit='mm', spacing=[1.0, 2.0, 0.5][: len(size)], reduction=reduction)
    assert gradients_agree(lambda u: loss(u, mask=mask), field)


@pytest.mark.parametrize('size', SIZES)
def test_energy_is_the_sum_over_entries_with_a_zero_last_difference(size):
    field, weight = random_field(size, batch=2), torch.rand(2, 1, *size, dtype=torch.float64)
    energy = torch.zeros(2, *size, dtype=torch.float64)
    for axis in range(2, field.dim()):
        padded = torch.cat([field, field.narrow(axis, -1, 1)], axis)
        energy += padded.diff(dim=axis).square().sum(1)
    loss = Diffusion(reduction='energy')
    torch.testing.assert_close(loss(field), energy.mean())
    torch.testing.assert_close(loss(field, mask=weight), (energy * weight[:, 0]).mean())


@pytest.mark.parametrize('size', SIZES)
def test_linear_field_has_a_closed_form(size):
    """u_i = s x_i has |du_i/dx_i| = s and nothing else: s^2 / ndim^2 ... once per axis, over ndim components."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in size], indexing='ij'))[None]
    assert Diffusion()(0.3 * grid).item() == pytest.approx(0.3**2 / len(size))
    assert Diffusion('l1', unit='normalised')(0.3 * grid).item() == pytest.approx(0.3 / len(size))
    assert Diffusion(unit='mm', spacing=2.0)(0.3 * grid).item() == pytest.approx(0.3**2 / len(size))


@pytest.mark.parametrize('size', [(31, 41), (15, 19, 23)])
@pytest.mark.parametrize('unit', ['voxel', 'normalised', 'mm'])
def test_value_does_not_depend_on_the_sampling(size, unit):
    """The same map sampled twice as finely: first derivatives have no dimension."""
    spacing = [1.0, 1.5, 3.0][: len(size)]
    fine = tuple(2 * n - 1 for n in size)
    coarse_value = Diffusion(unit=unit, spacing=spacing)(wave(size))
    fine_value = Diffusion(unit=unit, spacing=[s / 2 for s in spacing])(wave(fine))
    torch.testing.assert_close(fine_value, coarse_value, rtol=0.02, atol=0)


def test_mm_does_not_depend_on_anisotropic_sampling_but_voxels_do():
    coarse, fine = wave((21, 31)), wave((21, 121))
    mm = Diffusion(unit='mm', spacing=(1.0, 4.0))(coarse), Diffusion(unit='mm', spacing=(1.0, 1.0))(fine)
    torch.testing.assert_close(*mm, rtol=0.02, atol=0)
    assert Diffusion()(fine) > 2 * Diffusion()(coarse)


@pytest.mark.parametrize('size', SIZES)
def test_lku_unit_is_the_published_scaling_of_a_normalised_field(size):
    field = random_field(size)
    normalised = torch.stack([field[:, i] * 2 / (n - 1) for i, n in enumerate(size)], 1)
    published = sum((normalised.diff(dim=a + 2) * n / 2).square().mean() for a, n in enumerate(size)) / len(size)
    torch.testing.assert_close(Diffusion(unit='lku')(field), published)


@pytest.mark.parametrize('size', SIZES)
def test_constant_field_costs_nothing(size):
    field = torch.full((1, len(size), *size), 3.0, requires_grad=True)
    loss = Diffusion('l1')(field)
    loss.backward()
    assert loss.item() == 0 and not field.grad.any()


def test_mask_leaves_out_what_it_hides():
    field = random_field((6, 6, 6))
    mask = torch.zeros(1, 1, 6, 6, 6, dtype=torch.float64)
    mask[:, :, :3] = 1
    torch.testing.assert_close(Diffusion()(field, mask=mask)[None], _cut_mean(field[:, :, :3])[None])
    nothing = Diffusion()(field.requires_grad_(), mask=torch.zeros_like(mask))
    nothing.backward()
    assert nothing.item() == 0 and not field.grad.any()


def _cut_mean(field):
    return plain(field, 2)


def test_saves_nothing_but_the_field():
    field = torch.randn(1, 3, 16, 16, 16, requires_grad=True)
    with SavedBytes(field) as saved:
        loss = Diffusion()(field)
    assert saved.total == 0
    loss.backward()


def test_full_precision_under_autocast():
    field = torch.randn(1, 2, 9, 9)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = Diffusion()(field)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, Diffusion()(field))


def test_refusals():
    with pytest.raises(ConfigError, match='penalty'):
        Diffusion('l3')
    with pytest.raises(ConfigError, match='unit'):
        Diffusion(unit='inch')
    with pytest.raises(ConfigError, match='spacing'):
        Diffusion(unit='mm')
    with pytest.raises(ConfigError, match='spacing'):
        Diffusion(unit='mm', spacing=(1.0, 2.0))(torch.zeros(1, 3, 4, 4, 4))
    with pytest.raises(DataError, match='shape'):
        Diffusion()(torch.zeros(1, 3, 4, 4))
