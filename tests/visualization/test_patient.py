"""Pictures of samples lie as the patient does where the grid is known, and make no claim where it is not."""

import numpy as np
import pytest

from mmreg.io import Geometry
from mmreg.visualization.patient import PatientView

GRID = Geometry.from_parts((8, 10, 6), (2.0, 1.0, 3.0), origin=(-7, -5, -9))


@pytest.mark.parametrize('codes', ['LIA', 'RAS', 'PSR'])
@pytest.mark.parametrize('view', ['neurological', 'radiological'])
def test_the_same_head_on_any_grid_gives_the_same_picture(codes, view):
    image = np.random.default_rng(0).random(GRID.shape, np.float32)
    turned = GRID.reoriented(codes)
    axes, flips = GRID.reorientation(codes)
    array = np.flip(image.transpose(axes), [n for n, flip in enumerate(flips) if flip])
    patient = PatientView.of(turned.shape, turned.affine, view)
    expected = image if view == 'neurological' else image[::-1]
    np.testing.assert_array_equal(patient.image(array[None].copy()), expected)
    assert patient.codes == ('RAS' if view == 'neurological' else 'LAS')
    np.testing.assert_allclose(patient.spacing(), GRID.spacing)
    assert patient.field(np.zeros((3, *turned.shape))).shape == (3, *GRID.shape)


@pytest.mark.parametrize('affine', [None, np.eye(4), np.diag([2.0, 2.0, 3.0, 1.0]), np.eye(2), np.zeros((4, 4))])
def test_without_a_header_nothing_is_claimed(affine):
    image = np.random.default_rng(0).random((1, 8, 10, 6), np.float32)
    patient = PatientView.of((8, 10, 6), affine)
    assert patient.codes == '' and patient.spacing((1, 2, 3)) == (1, 2, 3)
    assert patient.image(image).shape == image.shape


def test_axial_slices_are_turned_and_others_left():
    axial = np.diag([-1.5, -1.5, 8.0, 1.0])
    axial[:3, 3] = [60, 70, -20]
    picture = np.arange(12.0).reshape(1, 3, 4)
    patient = PatientView.of((3, 4), axial)
    assert patient.codes == 'RA'
    np.testing.assert_array_equal(patient.image(picture), picture[0, ::-1, ::-1])
    sagittal = axial[[2, 0, 1, 3]]
    assert PatientView.of((3, 4), sagittal).codes == ''
