"""Finite differences and the Jacobian determinant."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from mmreg.errors import InputError
from mmreg.spatial import affine_displacement, jacobian_determinant, jacobian_matrix, spatial_gradient
from tests.spatial.fields import SIZES, sinusoid, smooth

SCHEMES = ['central', 'central_replicate', 'central_zeros', 'central_cropped', 'forward', 'backward']


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('scheme', SCHEMES)
@pytest.mark.parametrize('size', SIZES)
def test_identity_gives_exactly_one(size, scheme, dtype):
    det = jacobian_determinant(torch.zeros(2, len(size), *size, dtype=dtype), scheme=scheme)
    assert det.dtype == dtype and (det == 1).all()


@pytest.mark.parametrize('scheme', ['central', 'central_cropped', 'forward', 'backward', 'signs'])
@pytest.mark.parametrize('ndim', [2, 3])
def test_affine_map_gives_the_determinant_of_its_matrix(ndim, scheme):
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[:ndim] += 0.3 * torch.randn(ndim, ndim + 1, dtype=torch.float64)
    field = affine_displacement(matrix, (6, 7, 5)[:ndim])
    scheme = '+-+'[:ndim] if scheme == 'signs' else scheme
    det = jacobian_determinant(field, scheme=scheme)
    torch.testing.assert_close(det, torch.linalg.det(matrix[:ndim, :ndim]).expand_as(det))
    full = jacobian_matrix(field, scheme=scheme).movedim((1, 2), (-2, -1))
    torch.testing.assert_close(full, matrix[:ndim, :ndim].expand_as(full))


@pytest.mark.parametrize('ndim', [2, 3])
def test_sinusoid_converges_to_its_analytic_determinant(ndim):
    errors = []
    for n in (17, 33):
        field, exact = sinusoid((n,) * ndim, amplitude=0.05 * (n - 1))
        det = jacobian_determinant(field, scheme='central_cropped')[0]
        errors.append(float((det - exact[(slice(1, -1),) * ndim]).abs().max()))
    assert errors[0] < 0.05 and errors[1] < errors[0] / 3  # second order


@pytest.mark.parametrize('size', SIZES)
def test_central_differences_are_those_of_numpy(size):
    field = smooth(size, 2.0)
    expected = np.stack([np.stack(np.gradient(c.numpy(), 1.5)) for c in field[0]])
    np.testing.assert_allclose(spatial_gradient(field, spacing=1.5)[0].numpy(), expected, atol=1e-12)


def test_border_rules():
    x = torch.tensor([1.0, 4.0, 9.0, 16.0]).view(1, 1, 4, 1).expand(1, 1, 4, 2)
    rows = {
        'central': [3, 4, 6, 7],
        'central_replicate': [1.5, 4, 6, 3.5],
        'central_zeros': [2, 4, 6, -4.5],
        'central_cropped': [4, 6],
        'forward': [3, 5, 7],
        'backward': [3, 5, 7],
    }
    for scheme in ('central', 'central_replicate', 'central_zeros', 'forward', 'backward'):
        assert spatial_gradient(x, scheme)[0, 0, 0, :, 0].tolist() == rows[scheme], scheme
    wide = torch.cat([x, x], dim=3)
    assert spatial_gradient(wide, 'central_cropped')[0, 0, 0, :, 0].tolist() == rows['central_cropped']
    assert spatial_gradient(wide, '+-')[0, 0, 0, :, 0].tolist() == [5, 7]
    assert spatial_gradient(wide, '-+')[0, 0, 0, :, 0].tolist() == [3, 5]


def test_crop_removes_voxels_on_every_side():
    field = smooth((9, 10), 1.0)
    whole = jacobian_determinant(field)
    torch.testing.assert_close(jacobian_determinant(field, crop=2), whole[:, 2:-2, 2:-2])
    torch.testing.assert_close(jacobian_determinant(field, scheme='central_cropped', crop=3), whole[:, 3:-3, 3:-3])


def test_spacing_changes_the_matrix_but_not_the_determinant():
    spacing = (0.7, 1.4, 3.0)
    field = smooth((7, 8, 6), 1.0)
    voxel, mm = jacobian_matrix(field), jacobian_matrix(field, spacing)
    torch.testing.assert_close(mm[:, 0, 2], voxel[:, 0, 2] * 0.7 / 3.0)
    torch.testing.assert_close(jacobian_determinant(field, spacing), jacobian_determinant(field))
    in_mm = field * torch.tensor(spacing).view(1, 3, 1, 1, 1)
    torch.testing.assert_close(jacobian_determinant(in_mm, spacing, units='mm'), jacobian_determinant(field))


def test_a_reflection_is_a_fold():
    field = affine_displacement(torch.diag(torch.tensor([-1.0, 1.0, 1.0])), (6, 6))
    assert (jacobian_determinant(field) == -1).all()


@pytest.mark.parametrize('scheme', [*SCHEMES, '+-'])
def test_gradients_2d(scheme):
    field = smooth((5, 6), 0.8).requires_grad_()
    assert gradcheck(lambda u: jacobian_determinant(u, scheme=scheme), (field,))
    assert gradgradcheck(lambda u: jacobian_determinant(u, scheme=scheme), (field,))


@pytest.mark.parametrize('scheme', ['central', 'central_zeros', 'forward', '-+-'])
def test_gradients_3d(scheme):
    field = smooth((4, 5, 4), 0.8).requires_grad_()
    assert gradcheck(lambda u: jacobian_determinant(u, scheme=scheme), (field,))
    assert gradcheck(lambda u: jacobian_matrix(u, (1.0, 2.0, 0.5), scheme), (field,))


def test_autocast_does_not_touch_the_determinant():
    field = smooth((7, 8, 6), 1.0).float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(jacobian_determinant(field), jacobian_determinant(field.clone()))
        assert jacobian_determinant(field.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    'call,words',
    [
        (lambda: jacobian_determinant(torch.zeros(1, 2, 5, 5), scheme='sobel'), 'scheme'),
        (lambda: jacobian_determinant(torch.zeros(1, 2, 5, 5), scheme='+-+'), 'scheme'),
        (lambda: jacobian_determinant(torch.zeros(1, 2, 5, 1)), 'two voxels'),
        (lambda: jacobian_determinant(torch.zeros(1, 2, 5, 5), crop=3), 'leaves nothing'),
        (lambda: jacobian_determinant(torch.zeros(1, 2, 5, 5), units='mm'), 'spacing'),
        (lambda: jacobian_determinant(torch.zeros(1, 2, 2, 2), scheme='++'), 'more than 2 voxels'),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError, match=words):
        call()
