"""The parts of affine registration against closed forms: generators, similarities, slopes, starts, rotations."""

import numpy as np
import pytest
import torch

from mmreg.registration.affine.images import make_levels, working_spacings
from mmreg.registration.affine.objective import make_objective
from mmreg.registration.affine.parameters import exponential, generators
from mmreg.registration.affine.search import rotations
from mmreg.registration.affine.settings import AffineSettings
from mmreg.registration.affine.similarity import SCORES, CorrelationSimilarity, HistogramSimilarity
from mmreg.registration.affine.start import find_body

from .affine_phantoms import draw, field_of_view, rigid


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize(('transform', 'counts'), [('translation', (2, 3)), ('rigid', (3, 6)), ('affine', (6, 12))])
def test_number_of_parameters(ndim, transform, counts):
    assert len(generators(transform, ndim, 50.0)) == counts[ndim - 2]


@pytest.mark.parametrize('ndim', [2, 3])
def test_exponentials_stay_in_their_group(ndim):
    generator = torch.Generator().manual_seed(0)
    for transform in ('rigid', 'similarity', 'affine'):
        basis = generators(transform, ndim, 40.0)
        matrix = exponential(60 * torch.randn(len(basis), generator=generator, dtype=torch.float64), basis).numpy()
        linear = matrix[:-1, :-1]
        assert np.linalg.det(linear) > 0
        if transform == 'rigid':
            assert np.allclose(linear.T @ linear, np.eye(ndim), atol=1e-10)
        if transform == 'similarity':
            assert np.allclose(linear.T @ linear, np.linalg.det(linear) ** (2 / ndim) * np.eye(ndim), atol=1e-8)


def test_directions_without_extent_do_not_move():
    basis = generators('affine', 3, 40.0, np.array([[0.0], [0.0], [1.0]]))
    matrix = exponential(torch.linspace(5, 20, len(basis), dtype=torch.float64), basis).numpy()
    assert len(basis) == 6
    assert np.allclose(matrix[2], [0, 0, 1, 0]) and np.allclose(matrix[:, 2], [0, 0, 1, 0])


@pytest.mark.parametrize('score', sorted(SCORES))
def test_histogram_slope(score):
    """The hand-written derivative against finite differences in float64."""
    generator = torch.Generator().manual_seed(1)
    fixed = torch.rand(2, 60, generator=generator, dtype=torch.float64)
    values = (0.05 + 0.9 * torch.rand(2, 2, 60, generator=generator, dtype=torch.float64)).requires_grad_()
    weights = (0.2 + torch.rand(2, 60, generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(HistogramSimilarity(fixed, 10, SCORES[score]), (values, weights), eps=1e-7)


def test_information_of_independent_and_of_equal_intensities():
    generator = torch.Generator().manual_seed(2)
    fixed = torch.randint(0, 4, (1, 60000), generator=generator).float() / 3
    other = torch.randint(0, 4, (1, 60000), generator=generator).float() / 3
    weights = torch.ones(1, 60000)
    mi = HistogramSimilarity(fixed, 32, SCORES['mi'])
    assert float(mi(other[None], weights)) < 0.01
    # Four equally likely intensities, far apart in bins: log 4 nats, also when inverted.
    assert float(mi(fixed[None], weights)) == pytest.approx(np.log(4), abs=0.01)
    assert float(mi(1 - fixed[None], weights)) == pytest.approx(np.log(4), abs=0.01)


def test_correlation_of_blocks_by_hand():
    generator = torch.Generator().manual_seed(3)
    fixed, moving = torch.rand(1, 24, generator=generator), torch.rand(1, 1, 24, generator=generator)
    expected = []
    for a, b in zip(fixed.view(-1, 8).double().numpy(), moving.view(-1, 8).double().numpy()):
        a, b = a - a.mean(), b - b.mean()
        cross = (a * b).mean()
        expected.append(cross * abs(cross) / ((a * a).mean() + 1e-4) / ((b * b).mean() + 1e-4))
    found = CorrelationSimilarity(fixed, 8)(moving, torch.ones(1, 24))
    assert float(found) == pytest.approx(np.mean(expected), abs=1e-6)
    assert float(CorrelationSimilarity(fixed, 24, information=True)(fixed[None], torch.ones(1, 24))) > 2


def phantom_levels():
    """One level of two volumes on different grids."""
    true = rigid((6, -4, 3), (3, 2, -4))
    fixed = draw(field_of_view(3), seed=1)
    moving = draw(field_of_view(3, spacing=(2, 3, 2.5), codes='LPI'), true)
    return [make_levels(v, None, [5.0], 'cpu', 'image')[0] for v in (fixed, moving)]


@pytest.mark.parametrize('similarity', ['mi', 'ncc', 'lncc'])
def test_slope_of_the_objective(similarity):
    """The derivative by the parameters against a step, for a volume with masks and another grid."""
    objective = make_objective(*phantom_levels(), AffineSettings(similarity=similarity), 0, 5.0, 6000, 0)
    basis = generators('affine', 3, objective.points.radius)
    place = np.linspace(-1, 1, len(basis))
    _, slope = objective.value_and_gradient(np.eye(4), basis, place)
    step = 0.02
    for k in range(len(basis)):
        ahead, behind = place.copy(), place.copy()
        ahead[k] += step
        behind[k] -= step
        values = [objective.value_and_gradient(np.eye(4), basis, at)[0] for at in (ahead, behind)]
        change = values[0] - values[1]
        assert change / (2 * step) == pytest.approx(slope[k], abs=0.02 * np.abs(slope).max())
    matrix = objective.moved(np.eye(4), basis, place)
    value, _ = objective.value_and_gradient(np.eye(4), basis, place)
    assert objective.score(matrix[None])[0][0] == pytest.approx(value, abs=1e-5)


def test_body_follows_the_object():
    true = rigid((0, 0, 30), (10, -5, 8))
    level, other = (
        make_levels(volume, None, [5.0], 'cpu', 'image')[0]
        for volume in (draw(field_of_view(3, edge=130)), draw(field_of_view(3, edge=130, codes='PSL'), true))
    )
    first, second = find_body(level), find_body(other)
    assert np.linalg.norm(true[:3, :3] @ first.centre + true[:3, 3] - second.centre) < 1
    assert np.allclose(first.lengths, second.lengths, rtol=0.05)


def test_rotations_cover_all_there_are():
    turns = rotations(3)
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(turns), 1) and np.array_equal(turns[0], np.eye(3))
    probes = np.linalg.qr(np.random.default_rng(0).normal(size=(300, 3, 3)))[0]
    probes *= np.linalg.det(probes)[:, None, None]
    cosine = (np.einsum('aij,bij->ab', probes, turns) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).min(1).max() < 27


def test_levels_keep_places_in_the_world():
    grid = field_of_view(3, spacing=(1.0, 2.0, 4.0), edge=64, codes='SPL')
    spacings = working_spacings(grid, grid, 3, 2.0)
    assert spacings == [2.0, 4.0]
    volume = draw(grid, noise=0)
    for level in make_levels(volume, None, spacings, 'cpu', 'image'):
        body = find_body(level)
        assert np.linalg.norm(body.mass - find_body(make_levels(volume, None, [0.5], 'cpu', 'image')[0]).mass) < 0.3
