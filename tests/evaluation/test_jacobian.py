"""Regularity measures on fields with closed-form answers."""

import math

import numpy as np
import pytest
import torch

from mmreg.errors import InputError
from mmreg.evaluation.functional import digital, jacobian
from tests.golden.fill import flow


def _linear(matrix, size):
    """Displacement of ``x -> matrix x``."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in size], indexing='ij'))
    return torch.einsum('ij,j...->i...', torch.as_tensor(matrix, dtype=torch.float64), grid) - grid


@pytest.mark.parametrize('size', [(7, 9), (7, 9, 8)])
def test_identity_and_linear_maps(size):
    ndim = len(size)
    zero = torch.zeros(ndim, *size)
    assert torch.equal(jacobian.determinant_map(zero), torch.ones([n - 4 for n in size]))
    matrix = np.eye(ndim) + 0.1 * np.arange(ndim * ndim).reshape(ndim, ndim)
    found = jacobian.determinant_map(_linear(matrix, size), crop=1)
    np.testing.assert_allclose(found, np.linalg.det(matrix), rtol=1e-12)
    assert jacobian.sd_log_jacobian(found) == pytest.approx(0, abs=1e-12)


def test_sd_log_jacobian_conventions_and_mask():
    determinants = torch.tensor([1.0, math.e, -5.0])
    inside = torch.tensor([1, 1, 0])
    assert jacobian.sd_log_jacobian(determinants, inside) == pytest.approx(0.5)
    published = np.std(np.log(np.clip(np.array([4.0, math.e + 3, -2.0]), 1e-9, 1e9)))
    assert jacobian.sd_log_jacobian(determinants, convention='learn2reg') == pytest.approx(published, rel=1e-6)
    assert math.isnan(jacobian.sd_log_jacobian(determinants, 0 * inside))
    with pytest.raises(InputError, match='convention'):
        jacobian.sd_log_jacobian(determinants, convention='other')


def test_folds_are_counted():
    determinants = torch.tensor([1.0, 0.0, -5.0, 2.0])
    assert jacobian.fold_count(determinants) == 2
    assert jacobian.fold_percent(determinants) == 50
    assert jacobian.fold_percent(determinants, torch.tensor([1, 1, 0, 0])) == 50
    assert math.isnan(jacobian.fold_percent(determinants, torch.zeros(4)))


@pytest.mark.parametrize('size', [(6, 7), (6, 7, 5)])
def test_reflection_is_wholly_non_diffeomorphic(size):
    """``x -> -x`` along one axis: every simplex inside out, the volume that of the voxels counted."""
    matrix = np.diag([-1.0] + [1.0] * (len(size) - 1))
    found = digital.digital_diffeomorphism(_linear(matrix, size))
    total = np.prod([n - 2 for n in size])
    assert found.voxels == found.simplices == found.total == total
    assert found.volume == pytest.approx(total)
    assert found.volume_percent == pytest.approx(100)


@pytest.mark.parametrize('size', [(6, 7), (6, 7, 5)])
def test_identity_translation_and_affine_have_no_bad_volume(size):
    ndim = len(size)
    for field in (torch.zeros(ndim, *size), torch.full((ndim, *size), 2.5), _linear(1.3 * np.eye(ndim), size)):
        found = digital.digital_diffeomorphism(field)
        assert (found.voxels, found.simplices, found.volume) == (0, 0, 0)


def test_a_fold_between_voxels_is_seen():
    """One voxel moved by 1.5 to the side: the central difference there is 1, but the neighbours have crossed."""
    field = torch.zeros(3, 7, 7, 7)
    field[0, 3, 3, 3] = 1.5
    assert jacobian.determinant_map(field, 1)[2, 2, 2] == 1
    found = digital.digital_diffeomorphism(field)
    assert found.volume_map[2, 2, 2] > 0 and found.simplices > 0


def test_mask_restricts_and_normalises():
    field = torch.from_numpy(flow(10, (12, 14, 10), 9.0, sigma=2.0))
    whole = digital.digital_diffeomorphism(field)
    mask = torch.zeros(12, 14, 10)
    mask[:6] = 1
    half, rest = digital.digital_diffeomorphism(field, mask), digital.digital_diffeomorphism(field, 1 - mask)
    assert half.volume + rest.volume == pytest.approx(whole.volume, rel=1e-6)
    assert half.total + rest.total == whole.total
    assert math.isnan(digital.digital_diffeomorphism(field, 0 * mask).volume_percent)


def test_bad_fields_are_refused():
    with pytest.raises(InputError, match='shape'):
        digital.digital_diffeomorphism(torch.zeros(3, 5, 5))
    with pytest.raises(InputError, match='mask'):
        digital.digital_diffeomorphism(torch.zeros(2, 5, 5), torch.ones(4, 5))
    with pytest.raises(InputError, match='crop'):
        jacobian.determinant_map(torch.zeros(2, 4, 5))
