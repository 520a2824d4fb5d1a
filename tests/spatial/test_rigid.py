"""The best-rigid-motion solver: exact recovery, degenerate bodies, gradients, batching."""

import pytest
import torch

from mmreg.errors import DataError
from mmreg.spatial.rigid import best_rigid_motion, fit_labels, mass_centre, nearest_rotation
from tests.models.losses.helpers_fields import gradients_agree, rigid_field, rotation_matrix

DIMS = [2, 3]


def cloud(ndim, count=20, seed=0):
    return 5 * torch.randn(count, ndim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def one_body(points):
    return torch.zeros(len(points), dtype=torch.long), 1


@pytest.mark.parametrize('ndim', DIMS)
def test_recovers_a_rigid_motion(ndim):
    points, rotation = cloud(ndim), rotation_matrix(ndim, (0.5, -0.8, 1.1))
    shift = torch.arange(1, ndim + 1, dtype=torch.float64)
    motion = best_rigid_motion(points, points @ rotation.T + shift, *one_body(points))
    torch.testing.assert_close(motion.rotation[0], rotation)
    torch.testing.assert_close(motion.translation[0], shift)


@pytest.mark.parametrize('ndim', DIMS)
def test_bodies_are_fitted_apart(ndim):
    points = torch.cat([cloud(ndim, 10, seed) for seed in range(3)])
    body = torch.arange(3).repeat_interleave(10)
    rotations = torch.stack([rotation_matrix(ndim, (0.2 * k, 0.1, -0.3 * k)) for k in range(3)])
    moved = (rotations[body] @ points[:, :, None])[:, :, 0] + body[:, None]
    order = torch.randperm(30)
    motion = best_rigid_motion(points[order], moved[order], body[order], 4)
    torch.testing.assert_close(motion.rotation[:3], rotations)
    torch.testing.assert_close(motion.translation[:3], torch.arange(3.0).double()[:, None].expand(3, ndim))
    torch.testing.assert_close(motion.rotation[3], torch.eye(ndim).double())  # a body without points
    assert not motion.translation[3].any()


@pytest.mark.parametrize('ndim', DIMS)
def test_is_the_best_of_all_motions(ndim):
    points = cloud(ndim)
    moved = points + torch.randn(points.shape, dtype=torch.float64)
    weight = torch.rand(len(points), dtype=torch.float64)
    motion = best_rigid_motion(points, moved, *one_body(points), weight=weight)

    def cost(rotation, shift):
        return (weight * (points @ rotation.T + shift - moved).square().sum(1)).sum()

    least = cost(motion.rotation[0], motion.translation[0])
    for _ in range(50):
        near = rotation_matrix(ndim, tuple(0.05 * torch.randn(3).double())) @ motion.rotation[0]
        assert cost(near, motion.translation[0] + 0.05 * torch.randn(ndim)) >= least


@pytest.mark.parametrize('ndim', DIMS)
@pytest.mark.parametrize('seed', range(5))
def test_never_a_reflection(ndim, seed):
    points = cloud(ndim, seed=seed)
    mirrored = points * torch.tensor([-1.0] + [1.0] * (ndim - 1)).double()
    motion = best_rigid_motion(points, mirrored, *one_body(points))
    torch.testing.assert_close(torch.linalg.det(motion.rotation), torch.ones(1).double())


def test_one_point_moves_without_turning():
    motion = best_rigid_motion(torch.tensor([[3.0, 4.0, 5.0]]), torch.tensor([[4.0, 4.0, 3.0]]), *one_body([0]))
    torch.testing.assert_close(motion.rotation[0], torch.eye(3).double())
    torch.testing.assert_close(motion.translation[0], torch.tensor([1.0, 0.0, -2.0]).double())


def test_a_line_takes_the_smallest_rotation():
    """Along axis 0, turned in the plane of axes 0 and 1: nothing turns about the line itself."""
    points = torch.zeros(7, 3).double()
    points[:, 0] = torch.arange(7)
    rotation = rotation_matrix(3, (0.4, 0.0, 0.0))
    motion = best_rigid_motion(points, points @ rotation.T, *one_body(points))
    torch.testing.assert_close(motion.rotation[0], rotation, rtol=0, atol=1e-4)
    stays = best_rigid_motion(points, points + 2, *one_body(points))
    torch.testing.assert_close(stays.rotation[0], torch.eye(3).double(), rtol=0, atol=1e-9)


def test_a_plane_has_its_only_proper_rotation():
    points = torch.cartesian_prod(torch.arange(4.0), torch.arange(5.0), torch.zeros(1)).double()
    rotation = rotation_matrix(3, (0.3, 0.5, -0.4))
    motion = best_rigid_motion(points, points @ rotation.T, *one_body(points))
    torch.testing.assert_close(motion.rotation[0], rotation)


def test_a_line_turned_round_is_still_a_rotation():
    points = torch.zeros(5, 3).double()
    points[:, 0] = torch.arange(5)
    motion = best_rigid_motion(points, -points, *one_body(points))
    torch.testing.assert_close(torch.linalg.det(motion.rotation[0]), torch.tensor(1.0).double())
    torch.testing.assert_close(points @ motion.rotation[0].T + motion.translation[0], -points, rtol=0, atol=1e-4)


@pytest.mark.parametrize('ndim', DIMS)
def test_gradient(ndim):
    points = cloud(ndim, 12)
    moved = points @ rotation_matrix(ndim, (0.4, 0.2, 0.3)).T + 0.3 * cloud(ndim, 12, seed=1)
    body = torch.arange(12) % 2
    weight = 0.5 + torch.rand(12, dtype=torch.float64)

    def motion(p, q, w):
        fitted = best_rigid_motion(p, q, body, 2, w)
        return torch.cat([fitted.rotation.flatten(), fitted.translation.flatten()])

    assert gradients_agree(motion, points.requires_grad_(), moved.requires_grad_(), weight.requires_grad_())


@pytest.mark.parametrize('ndim', DIMS)
def test_gradient_of_the_projection_with_equal_singular_values(ndim):
    """Where the gradient of a plain SVD is not a number."""
    matrix = (2 * rotation_matrix(ndim, (0.3, 0.1, 0.2))).requires_grad_()
    assert gradients_agree(nearest_rotation, matrix)


@pytest.mark.parametrize(
    'points',
    [
        torch.zeros(1, 3),
        torch.zeros(4, 3),
        torch.eye(3)[:1] * torch.arange(5.0)[:, None],
        torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0), torch.zeros(1)),
        torch.zeros(0, 3),
    ],
    ids=['point', 'same point', 'line', 'plane', 'nothing'],
)
def test_degenerate_bodies_have_finite_gradients(points):
    points = points.double().requires_grad_()
    moved = (points.detach() + 0.1 * torch.randn(points.shape).double()).requires_grad_()
    motion = best_rigid_motion(points, moved, *one_body(points))
    (motion.rotation.sum() + motion.translation.square().sum()).backward()
    assert motion.rotation.isfinite().all() and points.grad.isfinite().all() and moved.grad.isfinite().all()


def test_given_centres_are_used():
    points = cloud(3)
    centre = torch.tensor([[1.0, 2.0, 3.0]])
    motion = best_rigid_motion(points, points, *one_body(points), centre=centre, moved_centre=centre + 1)
    expected = (motion.rotation @ centre.double()[:, :, None])[:, :, 0] + motion.translation
    torch.testing.assert_close(expected, centre.double() + 1)


def test_mass_centre():
    body = torch.zeros(5, 6)
    body[1, 2], body[3, 2] = 1.0, 3.0
    torch.testing.assert_close(mass_centre(body), torch.tensor([2.5, 2.0]).double())
    assert not mass_centre(torch.zeros(4, 4)).any()


def test_fit_of_labels_in_millimetres():
    """Rigid in mm on anisotropic voxels: residual 0 with the spacing, not without."""
    size, spacing = (8, 9, 10), (1.0, 1.5, 3.0)
    step = torch.tensor(spacing).double()
    rotation = rotation_matrix(3, (0.3, 0.2, 0.1))
    grid = torch.stack(torch.meshgrid(*[torch.arange(n).double() for n in size], indexing='ij'))
    mm = grid * step.view(3, 1, 1, 1)
    field = (torch.tensordot(rotation, mm, 1) + 2 - mm) / step.view(3, 1, 1, 1)
    labels = torch.zeros(size, dtype=torch.long)
    labels[1:4, 1:5, 1:6], labels[5:7, 5:8, 6:9] = 17, 20
    fit = fit_labels(field, labels, spacing=spacing)
    assert fit.classes == [17, 20]
    torch.testing.assert_close(fit.motion.rotation[1], rotation)
    assert fit.residual.max() < 1e-9
    assert fit_labels(field, labels).residual.min() > 0.05
    none = fit_labels(field, torch.zeros_like(labels))
    assert none.classes == [] and none.residual.shape == (0,)
    assert fit_labels(field, labels, classes=[3]).residual.isnan().all()  # a label that is not there


def test_fit_of_labels_in_the_plane():
    field = rigid_field((9, 9), (0.2,), (1.0, -1.0))[0]
    fit = fit_labels(field, torch.ones(9, 9, dtype=torch.long))
    torch.testing.assert_close(fit.motion.rotation[0], rotation_matrix(2, (0.2,)))
    assert fit.residual.item() < 1e-9


def test_refusals():
    with pytest.raises(DataError, match='points'):
        best_rigid_motion(torch.zeros(4, 3), torch.zeros(5, 3), torch.zeros(4).long(), 1)
    with pytest.raises(DataError, match='labels'):
        fit_labels(torch.zeros(2, 4, 4), torch.zeros(4, 5).long())
