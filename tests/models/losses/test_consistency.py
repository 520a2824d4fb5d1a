"""Consistency losses: zero for exact inverses, closed forms for shifts, units, gradients."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError, InputError
from mmreg.models.losses.consistency import ICON, Cycle, GradICON, GroupConsistency, InverseConsistency
from mmreg.models.losses.field_distance import PENALTIES, field_distance, pyramid_distillation
from mmreg.spatial import compose, scaling_and_squaring

from .helpers_fields import SavedBytes, gradients_agree, random_field, rigid_field, wave

SIZES = [(6, 7), (5, 6, 4)]


def shifts(size, *values):
    return [torch.full((1, len(size), *size), float(v), dtype=torch.float64) for v in values]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('penalty', PENALTIES)
def test_field_distance_by_the_book(size, penalty):
    difference = random_field(size, batch=2)
    weight = torch.rand(2, 1, *size, dtype=torch.float64)
    square = difference.square().sum(1, keepdim=True)
    length = {
        'l1': difference.abs().sum(1, keepdim=True),
        'l2': square,
        'rmse': square.sqrt(),
        'charbonnier': (square + 1e-3) ** 0.45,
    }[penalty]
    torch.testing.assert_close(field_distance(difference, penalty), length.mean())
    torch.testing.assert_close(field_distance(difference, penalty, weight), (length * weight).sum() / weight.sum())


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(
    'loss',
    [
        InverseConsistency(),
        InverseConsistency('charbonnier', 'border'),
        ICON(seed=0),
        ICON('rmse', padding='border', unit='unit', reduction='components', seed=0),
        GradICON(seed=0),
        GradICON(step=0.01, unit='unit', padding='border', noise=2.0, stride=2, symmetric=False, seed=0),
        Cycle(),
        lambda f, b, mask: GroupConsistency(detach_target=False)(f, b, 0.5 * f, mask),
        lambda f, b, mask: GroupConsistency(detach_target=False).stacked(torch.cat([f, b, f]), mask),
    ],
    ids=['inverse', 'charbonnier', 'icon', 'icon unit', 'gradicon', 'sparse', 'cycle', 'group', 'stacked'],
)
@pytest.mark.parametrize('masked', [False, True])
def test_gradient(size, loss, masked):
    f, b = (0.9 * random_field(size, batch=2, seed=s).requires_grad_() for s in (1, 2))
    mask = torch.rand(2, 1, *size, dtype=torch.float64) if masked else None
    assert gradients_agree(lambda u, v: loss(u, v, mask), f.detach().requires_grad_(), b.detach().requires_grad_())


ALL = [InverseConsistency(), ICON(), GradICON(), Cycle()]


@pytest.mark.parametrize('loss', ALL)
def test_identity_costs_nothing(loss):
    zero = torch.zeros(1, 3, 5, 6, 7, requires_grad=True)
    value = loss(zero, torch.zeros_like(zero))
    value.backward()
    assert value.item() == 0 and not zero.grad.any()


@pytest.mark.parametrize('size', [(17, 19), (13, 15, 11)])
@pytest.mark.parametrize('part', [InverseConsistency, ICON, GradICON, Cycle])
def test_inverse_maps_cost_far_less_than_others(size, part):
    velocity = wave(size, 1.0)
    forward, backward = (
        scaling_and_squaring(velocity, padding='border'),
        scaling_and_squaring(-velocity, padding='border'),
    )
    loss = part(padding='border')
    mask = torch.zeros(1, 1, *size, dtype=torch.float64)
    mask[(0, 0, *[slice(3, -3)] * len(size))] = 1
    assert loss(forward, backward, mask).item() < 2e-2 * loss(forward, forward, mask).item()


@pytest.mark.parametrize('size', SIZES)
def test_shifts_have_closed_forms(size):
    """Shifts by a and b leave a + b, whatever the point; their gradient is 0."""
    a, b, n = *shifts(size, 0.5, -0.2), len(size)
    assert InverseConsistency(padding='border')(a, b).item() == pytest.approx(2 * n * 0.3**2)
    assert InverseConsistency('l1', 'border', symmetric=False)(a, b).item() == pytest.approx(n * 0.3)
    assert ICON(padding='border')(a, b).item() == pytest.approx(2 * n * 0.3**2)
    assert ICON(padding='border', unit='mm', spacing=2.0)(a, b).item() == pytest.approx(2 * n * 0.6**2)
    assert ICON(padding='border', reduction='components')(a, b).item() == pytest.approx(2 * 0.3**2)
    assert GradICON(padding='border')(a, b).item() == pytest.approx(0, abs=1e-20)
    assert Cycle(padding='border')(a, b, others=shifts(size, -0.3)).item() == pytest.approx(0, abs=1e-20)
    group = GroupConsistency('l1', 'border')
    assert group(a, b, *shifts(size, 0.1)).item() == pytest.approx(n * 0.2)


def test_unit_coordinates_weigh_each_axis_by_its_length():
    size = (6, 11)
    a = torch.zeros(1, 2, *size).double()
    a[:, 0], a[:, 1] = 0.5, 1.0
    expected = ((0.5 / 5) ** 2 + (1.0 / 10) ** 2) / 2
    loss = ICON(unit='unit', padding='border', reduction='components', symmetric=False)
    assert loss(a, torch.zeros_like(a)).item() == pytest.approx(expected)


@pytest.mark.parametrize('size', [(15, 15), (9, 9, 9)])
def test_gradicon_of_linear_maps_is_the_norm_of_the_jacobian(size):
    """forward = 0 and backward linear with gradient A: sum_a mean_i A_ia^2 = |A|^2 / n, inside the volume."""
    matrix = 0.1 * torch.randn(len(size), len(size)).double()
    grid = torch.stack(torch.meshgrid(*[torch.arange(n).double() for n in size], indexing='ij'))
    field = torch.tensordot(matrix, grid, 1)[None]
    mask = torch.zeros(1, 1, *size).double()
    mask[(0, 0, *[slice(n // 2, n // 2 + 1) for n in size])] = 1
    loss = GradICON(noise=0.0, symmetric=False)
    value = loss(torch.zeros_like(field), field, mask)
    assert value.item() == pytest.approx((matrix.square().sum() / len(size)).item())


def test_gradicon_in_mm_does_not_depend_on_the_sampling():
    coarse, fine = (wave((n, m)) for n, m in ((21, 31), (41, 121)))
    zeros = [torch.zeros_like(x) for x in (coarse, fine)]
    values = [
        GradICON(step=0.1, noise=0.0, unit='mm', spacing=s, padding='border')(f, z)
        for f, z, s in ((coarse, zeros[0], (1.0, 4.0)), (fine, zeros[1], (0.5, 1.0)))
    ]
    torch.testing.assert_close(*values, rtol=0.05, atol=0)


def test_a_default_step_keeps_float32_exact():
    f, b = (rigid_field((24, 24, 24), (s * 0.2, 0.0, 0.1), (s * 3.0, 2.0, 1.0)) for s in (1, -1))
    draw = torch.randn(1, 3, 24, 24, 24)
    double, single = GradICON()(f, b, draw=draw), GradICON()(f.float(), b.float(), draw=draw)
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=0)


def test_noise_is_new_at_each_call_unless_seeded():
    f, b = random_field((8, 8), seed=1), random_field((8, 8), seed=2)
    assert ICON()(f, b) != ICON()(f, b)
    assert ICON(seed=3)(f, b) == ICON(seed=3)(f, b)
    draw = torch.randn(1, 2, 8, 8)
    assert ICON()(f, b, draw=draw) == ICON()(f, b, draw=draw)


def test_detaching_changes_the_gradient_not_the_value():
    f, b = random_field((8, 8), seed=1).requires_grad_(), random_field((8, 8), seed=2)
    for part in (ICON, GradICON):
        values = [part(detach_inner=d, seed=0)(f, b) for d in (False, True)]
        grads = [torch.autograd.grad(v, f)[0] for v in values]
        torch.testing.assert_close(*values)
        assert not torch.allclose(*grads)
    second = random_field((8, 8), seed=3).requires_grad_()
    values = [GroupConsistency(detach_inner=d)(f, second, b) for d in (False, True)]
    torch.testing.assert_close(*values)
    grads = [torch.autograd.grad(v, second)[0] for v in values]
    assert not torch.allclose(*grads)


def test_group_target_is_a_constant_by_default():
    fields = [random_field((6, 6), seed=s).requires_grad_() for s in range(3)]
    GroupConsistency()(*fields).backward()
    assert fields[0].grad.any() and fields[1].grad.any() and fields[2].grad is None


def test_group_of_composed_fields_agrees():
    first, second = (wave((12, 13), a) for a in (1.0, -0.6))
    assert GroupConsistency()(first, second, compose(first, second)).item() == pytest.approx(0, abs=1e-20)


def test_distillation_of_one_map_on_all_levels_costs_next_to_nothing():
    fields = [wave((n, n + 8)) for n in (33, 17, 9)]
    fields[1:] = [f.requires_grad_() for f in (wave((17, 21)), wave((9, 11)))]
    same = pyramid_distillation(fields)
    assert same.item() < 1e-2 * pyramid_distillation([fields[0], -fields[1], -fields[2]]).item()
    same.backward()
    assert fields[1].grad is not None and fields[2].grad is not None


def test_inverse_consistency_saves_what_it_says():
    f, b = (torch.randn(1, 3, 16, 16, 16, requires_grad=True) for _ in range(2))
    with SavedBytes(f, b) as saved:
        InverseConsistency()(f, b)
    assert saved.total <= 6 * f.numel() * 4


def test_refusals():
    with pytest.raises(ConfigError, match='penalty'):
        InverseConsistency('l0')
    with pytest.raises(ConfigError, match='unit'):
        ICON(unit='inch')
    with pytest.raises(ConfigError, match='spacing'):
        GradICON(unit='mm')
    with pytest.raises(ConfigError, match='step'):
        GradICON(step=0)
    with pytest.raises(ConfigError, match='reduction'):
        ICON(reduction='sum')
    with pytest.raises(InputError, match='shape'):
        InverseConsistency()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 5, 4))
    with pytest.raises(DataError, match='multiple of 3'):
        GroupConsistency().stacked(torch.zeros(4, 2, 5, 5))
