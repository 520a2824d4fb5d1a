"""NaN around what an image shows: no value, no evidence."""

import numpy as np
import pytest

from mmreg.apis import register
from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, write_volume
from mmreg.registration.inputs.images import load_image
from mmreg.registration.inputs.unknown import split_unknown
from mmreg.registration.inputs.views import view_of

from .phantoms import centred, draw

QUICK = {'optimisation.levels': [{'scale': 4, 'iterations': 20}, {'scale': 2, 'iterations': 15}]}


def shell(shape=(8, 9, 10)):
    array = np.random.default_rng(0).random(shape).astype('f4')
    array[0] = np.nan
    array[4, 4, 4] = np.nan
    return array


def test_what_reaches_the_border_is_not_shown():
    array = shell()
    filled, unknown = split_unknown(array, 3, 'image')
    np.testing.assert_array_equal(unknown, np.isnan(array))
    assert np.isfinite(filled).all() and (filled[unknown] == np.nanmin(array)).all()
    coloured = np.stack([array, np.ones_like(array)], -1)
    np.testing.assert_array_equal(split_unknown(coloured, 3, 'image')[1], unknown)


def test_a_hole_in_a_complete_image_is_damage():
    array = shell()
    array[0] = 1
    with pytest.raises(DataError, match='image: found 1 voxels that are NaN'):
        split_unknown(array, 3, 'image')
    array = shell()
    array[2, 2, 2] = np.inf
    with pytest.raises(DataError, match='infinite'):
        split_unknown(array, 3, 'image')


@pytest.mark.parametrize('as_file', [True, False])
def test_images_with_nan_around_them(tmp_path, as_file):
    volume = Volume(shell(), Geometry.from_parts((8, 9, 10)))
    source = volume
    if as_file:
        source = tmp_path / 'masked.nii.gz'
        write_volume(source, volume)
    with pytest.warns(UserWarning, match='are NaN; they are taken for what the image does not show'):
        image = load_image(source, 'fixed')
    assert np.isfinite(image.volume.array).all()
    np.testing.assert_array_equal(view_of(image.volume, image.unknown).mask, ~np.isnan(volume.array))


def test_a_constant_image_with_nan_around_it_is_refused():
    array = np.ones((8, 9, 10), 'f4')
    array[0] = np.nan
    with pytest.raises(DataError, match='constant image'):
        load_image(Volume(array, Geometry.from_parts(array.shape)), 'fixed')


def test_what_has_no_value_pulls_nothing():
    """A third of the moving image is NaN: elsewhere the deformation is that of the whole image, there it goes on."""
    grid = centred((36, 32, 34), (2.5, 2.5, 2.5))
    fixed, moving = draw(grid), draw(grid, bend=4.0, seed=1)
    cut = moving.array.copy()
    cut[:, :, 24:] = np.nan
    options = dict(preset='generic', affine='none', cfg_options=QUICK)
    whole = register(fixed, moving, **options).displacement
    result = register(fixed, Volume(cut, grid), **options)
    inside = (slice(None), slice(8, -8), slice(8, -8), slice(8, 20))
    assert np.abs(result.displacement - whole)[inside].mean() < 0.25 * np.abs(whole)[inside].mean()
    assert np.abs(result.displacement).max() < 2.5 * np.abs(whole).max()
    assert np.isfinite(result.warped.array).all()
    assert any('29 % of the voxels are NaN' in warning for warning in result.warnings)
