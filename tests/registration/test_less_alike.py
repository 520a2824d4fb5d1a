"""An affine that makes the whole images less alike is not believed: the headers are kept, and that is said."""

import numpy as np
import pytest

import mmreg
from mmreg.io import Volume
from mmreg.registration import alignment
from mmreg.registration.less_alike import less_alike

from .phantoms import centred, draw

GRID = centred((40, 44, 36), (2.0, 2.0, 2.0))


def shift(millimetres):
    matrix = np.eye(4)
    matrix[0, 3] = millimetres
    return matrix


def test_away_from_where_the_images_agree_is_less_alike():
    image = draw(GRID)
    assert less_alike(image, image, shift(25.0))
    assert not less_alike(image, image, np.eye(4))


def test_towards_it_is_not():
    fixed = draw(GRID)
    affine = np.array(GRID.affine)
    affine[0, 3] += 12.0
    moved = Volume(fixed.array, type(GRID)(GRID.shape, affine))
    assert not less_alike(fixed, moved, shift(12.0))
    assert less_alike(fixed, moved, shift(-25.0))


@pytest.mark.parametrize('ndim', [2, 3])
def test_large_images_are_compared_on_a_coarse_grid(ndim):
    rng = np.random.default_rng(0)
    size = (500, 420) if ndim == 2 else (90, 80, 70)
    geometry = centred(size, (0.7,) * ndim)
    image = Volume(np.cumsum(rng.standard_normal(size), 0).astype(np.float32), geometry)
    matrix = np.eye(ndim + 1)
    matrix[:-1, -1] = 9.0
    assert less_alike(image, image, matrix)


def test_the_headers_are_kept_and_the_user_told(monkeypatch):
    """A search that ends at a wrong place."""
    image = draw(GRID)
    from dataclasses import replace

    from mmreg.registration import affine

    whole = affine.register_affine
    monkeypatch.setattr(affine, 'register_affine', lambda *a, **k: replace(whole(*a, **k), matrix=shift(25.0)))
    result = mmreg.register(image, image, affine='auto', preset='generic', cfg_options={'optimisation.quick': True})
    assert result.affine is None
    assert any('the headers are kept' in words for words in result.warnings)
    asked = alignment.align(_pair(image), 'rigid', None)
    np.testing.assert_allclose(asked.matrix, shift(25.0))  # asked for by name: given


def _pair(image):
    from mmreg.registration.files import PairFiles
    from mmreg.registration.inputs import read_pair

    return read_pair(PairFiles(image, image), 'pair')
