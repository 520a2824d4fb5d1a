"""Large displacements are inverted, voxel by voxel, where the plain fixed point gives up."""

import pytest
import torch

from mmreg.errors import InputError
from mmreg.spatial import compose, gaussian_filter, invert, invert_multilevel, jacobian_determinant


def strong_map(size, steps=10, step=0.7, seed=0):
    """Many small smooth maps composed: large local stretching, no folds."""
    generator = torch.Generator().manual_seed(seed)
    noise = gaussian_filter(torch.randn(2, len(size), *size, generator=generator), 3.0)
    increment = noise * (step / noise.norm(dim=1).flatten(1).amax(1)).view(2, *[1] * (len(size) + 1))
    field = torch.zeros_like(increment)
    for _ in range(steps):
        field = compose(field, increment, 'border')
    return field


@pytest.mark.parametrize('size', [(48, 40), (24, 28, 20)])
def test_inverse_of_strong_stretching(size):
    field = strong_map(size)
    assert float(jacobian_determinant(field).min()) > 0 and float(jacobian_determinant(field).max()) > 2.5
    inverse, residual = invert_multilevel(field)
    there = compose(field, inverse, 'border').norm(dim=1)
    assert float(there.max()) < 0.02 and float(residual.max.max()) < 0.02
    assert torch.equal(residual.max, there.flatten(1).amax(1))
    plain = invert(field, iterations=50)[1]
    assert float(residual.max.max()) <= float(plain.max.max()) or float(plain.max.max()) < 0.02


def test_translation_is_exact_and_pairs_are_independent():
    field = torch.zeros(2, 2, 20, 22)
    field[0, 0], field[1, 1] = 3.0, -2.25
    inverse, residual = invert_multilevel(field)
    torch.testing.assert_close(inverse, -field, atol=2e-2, rtol=0)
    assert float(residual.max.max()) < 2e-2
    alone = torch.cat([invert_multilevel(field[n : n + 1])[0] for n in range(2)])
    torch.testing.assert_close(inverse, alone, atol=1e-6, rtol=0)


def test_residual_is_reported_where_the_map_folds():
    generator = torch.Generator().manual_seed(1)
    field = 6 * torch.randn(1, 2, 24, 24, generator=generator)
    inverse, residual = invert_multilevel(field, iterations=5)
    assert torch.isfinite(inverse).all()
    assert float(residual.max) == float(compose(field, inverse, 'border').norm(dim=1).max()) > 0.1


def test_bad_arguments():
    with pytest.raises(InputError, match='levels is -1'):
        invert_multilevel(torch.zeros(1, 2, 8, 8), levels=-1)
    with pytest.raises(InputError, match='padding'):
        invert_multilevel(torch.zeros(1, 2, 8, 8), padding='wrap')
