"""What lies outside an image, what has no value, and types of voxels."""

import numpy as np
import pytest

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, affine_transform, resample_to
from mmreg.io.resample import outside_value
from mmreg.io.voxel_type import as_type

GRID = Geometry.from_parts((12, 13, 14), spacing=(1.0, 2.0, 1.5))
RNG = np.random.default_rng(0)


def body(air=-1000.0):
    array = np.full(GRID.shape, air)
    array[3:9, 3:9, 3:9] = 40 + 100 * RNG.random((6, 6, 6))
    return array.astype(np.float32)


@pytest.mark.parametrize(
    ('array', 'value'),
    [
        (body(), -1000), (body(-1024), -1024), (body(-3024), -1024), (body()[3:9, 3:9, 3:9], 0), (body(0), 0),
        (np.abs(RNG.normal(size=GRID.shape)) + 5, 0), (body(-2) * 0.01, pytest.approx(-0.02)),
        (np.pad(RNG.normal(size=(6, 6, 6)), 3), 0),
    ],
)  # fmt: skip
def test_outside(array, value):
    assert outside_value(np.asarray(array)) == value


def test_no_value_outside_of_what_has_gaps():
    array = body()
    array[0] = np.nan
    assert np.isnan(outside_value(array))


@pytest.mark.parametrize('mode', ['linear', 'spline', 'nearest'])
@pytest.mark.parametrize('channels', [0, 2])
def test_gaps_are_interpolated_around_and_kept(mode, channels):
    """A ramp stays a ramp next to the gap: no value is mixed with a zero that is not there."""
    shape = (*GRID.shape, channels) if channels else GRID.shape
    array = (
        np.broadcast_to(np.arange(12.0).reshape(12, *[1] * (len(shape) - 1)) * 0 + 7, shape).astype(np.float32).copy()
    )
    array[:5] = np.nan
    shift = np.eye(4)
    shift[0, 3] = 0.25
    moved = resample_to(Volume(array, GRID), GRID, mode, transform=affine_transform(shift), fill=float('nan')).array
    assert np.isnan(moved[:4]).all() and np.isfinite(moved[5:11]).all()
    np.testing.assert_allclose(moved[5:11], 7, atol=1e-4)
    filled = resample_to(Volume(array, GRID), GRID.padded((2, 0, 0), (0, 0, 0)), mode, fill=-1.0).array
    assert (filled[:2] == -1).all() and np.isnan(filled[2:7]).all()


def test_output_types():
    volume = Volume(np.array([[0.4, 200.6], [3, 255.4]]), Geometry.from_parts((2, 2)))
    assert as_type(volume, 'uint8', np.dtype('f4'), 'a').array.tolist() == [[0, 201], [3, 255]]
    assert as_type(volume, 'float64', np.dtype('f4'), 'a').array.dtype == np.float64
    high = Volume(volume.array + 100, volume.geometry)
    with pytest.raises(DataError, match='from 100 to 355, expected those that uint8 can hold'):
        as_type(high, 'uint8', np.dtype('f4'), 'a')
    assert as_type(high, 'input', np.dtype('u1'), 'a').array.max() == 255
    gaps = Volume(np.array([[np.nan, 1]]), Geometry.from_parts((1, 2)))
    with pytest.raises(DataError, match='without a value'):
        as_type(gaps, 'int16', np.dtype('f4'), 'a')
