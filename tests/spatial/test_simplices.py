"""The simplices around a voxel."""

import math

import pytest
import torch

from mmreg.errors import InputError
from mmreg.spatial.simplices import simplex_determinants, simplex_share


@pytest.mark.parametrize('ndim', [2, 3])
def test_they_fill_each_cell_as_often_as_the_share_says(ndim):
    still = torch.zeros(1, ndim, *[4] * ndim, dtype=torch.float64)
    volumes = torch.stack([d(still).mean() for d in simplex_determinants(ndim).values()])
    assert (volumes * simplex_share(ndim)).sum().item() == pytest.approx(1)
    assert (volumes > 0).all() and len(volumes) == {2: 4, 3: 10}[ndim]


@pytest.mark.parametrize('size', [(5, 6), (5, 4, 6)])
def test_an_affine_map_scales_all_by_its_determinant(size):
    ndim = len(size)
    matrix = torch.eye(ndim, dtype=torch.float64) + 0.2 * torch.randn(ndim, ndim, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in size], indexing='ij'))
    field = torch.einsum('ij,j...->i...', matrix, grid) - grid
    still = torch.zeros_like(field)
    for determinant in simplex_determinants(ndim).values():
        found = determinant(field[None])
        assert found.shape == (1, *(n - 2 for n in size))
        torch.testing.assert_close(found, determinant(still[None]) * torch.linalg.det(matrix))


def test_inner_tetrahedra_by_the_book():
    field = torch.randn(1, 3, 3, 3, 3, dtype=torch.float64)
    phi = field[0] + torch.stack(torch.meshgrid(*[torch.arange(3.0).double()] * 3, indexing='ij'))
    found = simplex_determinants(3)
    for name, edges in (('Jstar_1', [(0, 0, 1), (0, 1, 0), (1, 0, 0)]), ('Jstar_2', [(2, 2, 1), (1, 2, 2), (2, 1, 2)])):
        rows = torch.stack([phi[:, i, j, k] - phi[:, 1, 1, 1] for i, j, k in edges])
        assert found[name](field).item() == pytest.approx(torch.linalg.det(rows).item())


def test_names_and_refusal():
    assert list(simplex_determinants(2)) == ['+x+y', '+x-y', '-x+y', '-x-y']
    with pytest.raises(InputError):
        simplex_determinants(3)['Jstar_1'](torch.zeros(1, 2, 5, 5))
    assert math.isclose(simplex_share(3) * 12, 1)
