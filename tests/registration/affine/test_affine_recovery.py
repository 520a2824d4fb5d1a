"""Known affine maps come back, on any two grids, in 2-D and 3-D, within and between contrasts."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmreg.registration.affine import register_affine

from .affine_phantoms import draw, error_mm, field_of_view, rigid


def moving_grid(matrix, **keys):
    """A field of view around where the map brings the phantom."""
    return field_of_view(len(matrix) - 1, centre=matrix[:-1, -1] + 3, **keys)


def inverted(value):
    return np.where(value > 0.2, 1.1 - value, 0.0)


@pytest.fixture(scope='module')
def fixed():
    return draw(field_of_view(3), seed=1)


@pytest.mark.parametrize('similarity', ['mi', 'nmi', 'ncc', 'lncc'])
def test_rotation_of_30_degrees_with_a_shift_of_40_mm(fixed, similarity):
    true = rigid((30, 0, 0), (40, 0, 0))
    moving = draw(moving_grid(true), true)
    result = register_affine(fixed, moving, transform='rigid', similarity=similarity)
    assert error_mm(result.matrix, true) < 0.4
    assert result.after > result.before


@pytest.mark.parametrize('angles', [(0, 0, 180), (90, 0, 90), (50, 70, 100)])
def test_rotations_that_no_local_search_finds(fixed, angles):
    true = rigid(angles, (5, -10, 15))
    result = register_affine(fixed, draw(moving_grid(true), true), transform='rigid')
    assert error_mm(result.matrix, true) < 0.4
    assert any('headers do not bring' in sentence for sentence in result.warnings)


@pytest.mark.parametrize('codes', ['LPS', 'PIR'])
def test_orientation_of_the_array_does_not_matter(fixed, codes):
    true = rigid((4, -6, 8), (3, 5, -4))
    result = register_affine(fixed, draw(moving_grid(true, codes=codes), true), transform='rigid')
    assert error_mm(result.matrix, true) < 0.4
    assert result.start == 'headers'


def test_wrongly_flipped_header_is_a_rotation_by_180_degrees(fixed):
    image = draw(field_of_view(3, codes='RAS'))
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    wrong = type(image)(image.array, type(image.geometry)(image.geometry.shape, flip @ image.geometry.affine))
    result = register_affine(fixed, wrong, transform='rigid')
    assert error_mm(result.matrix, flip) < 0.4


def test_mirrored_image_only_if_asked(fixed):
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    moving = draw(field_of_view(3), mirror)
    result = register_affine(fixed, moving, transform='rigid', reflections=True)
    assert error_mm(result.matrix, mirror) < 0.4
    assert any('mirrors' in sentence for sentence in result.warnings)
    assert np.linalg.det(register_affine(fixed, moving, search='moments').matrix[:3, :3]) > 0


def test_thin_and_thick_voxels_oblique():
    turn = Rotation.from_euler('xyz', (12, -20, 9), degrees=True).as_matrix()
    true = rigid((8, 5, -6), (6, -4, 9))
    fixed = draw(field_of_view(3, spacing=(1.0, 1.0, 3.0)), seed=1)
    moving = draw(moving_grid(true, spacing=(3.0, 1.2, 1.2), direction=turn), true)
    result = register_affine(fixed, moving, transform='rigid')
    assert error_mm(result.matrix, true) < 0.4


def test_half_a_millimetre_against_three():
    true = rigid(8, (6, -4))
    fixed = draw(field_of_view(2, spacing=3.0), seed=1)
    result = register_affine(fixed, draw(moving_grid(true, spacing=0.5), true), transform='rigid')
    assert error_mm(result.matrix, true) < 0.5
    back = register_affine(draw(moving_grid(true, spacing=0.5), true), fixed, transform='rigid')
    assert error_mm(np.linalg.inv(back.matrix), true) < 0.5


@pytest.mark.parametrize('similarity', ['mi', 'nmi'])
def test_inverted_contrast(fixed, similarity):
    true = rigid((10, -15, 5), (8, -12, 6))
    moving = draw(moving_grid(true), true, contrast=inverted)
    result = register_affine(fixed, moving, transform='rigid', similarity=similarity)
    assert error_mm(result.matrix, true) < 0.5


@pytest.mark.parametrize('similarity', ['mi', 'lncc'])
def test_scales_and_shear(fixed, similarity):
    true = rigid((8, -5, 6), (10, -6, 4), scale=(1.12, 0.9, 1.05))
    true[0, 1] += 0.05
    moving = draw(moving_grid(true, edge=120), true)
    result = register_affine(fixed, moving, similarity=similarity)
    assert error_mm(result.matrix, true) < 0.6
    assert np.allclose(result.scales, np.linalg.svd(true[:3, :3], compute_uv=False), atol=0.03)


def test_similarity_transform_has_one_scale(fixed):
    true = rigid((8, -5, 6), (10, -6, 4), scale=(1.1, 1.1, 1.1))
    result = register_affine(fixed, draw(moving_grid(true, edge=120), true), transform='similarity')
    assert error_mm(result.matrix, true) < 0.5
    assert np.ptp(result.scales) < 1e-6


@pytest.mark.parametrize('angle', [30, 180])
def test_two_axes(angle):
    true = rigid(angle, (40, -10))
    fixed = draw(field_of_view(2, spacing=1.5), seed=1)
    result = register_affine(fixed, draw(moving_grid(true, spacing=1.5), true), transform='rigid')
    assert error_mm(result.matrix, true) < 0.4
    assert result.matrix.shape == (3, 3)


def test_translation_does_not_rotate(fixed):
    true = rigid((0, 0, 0), (20, -15, 10))
    result = register_affine(fixed, draw(moving_grid(true), true), transform='translation')
    assert np.allclose(result.matrix[:3, :3], np.eye(3), atol=1e-12)
    assert error_mm(result.matrix, true) < 0.4


def test_a_single_slice_moves_in_its_plane():
    true = rigid((0, 0, 15), (6, -4, 0))
    spacing = (1.5, 1.5, 5.0)
    grid = field_of_view(3, spacing=spacing, edge=np.array([90.0, 90.0, 5.0]))
    result = register_affine(draw(grid, seed=1), draw(grid, true), transform='rigid')
    assert error_mm(result.matrix, true) < 0.6
    assert np.allclose(result.matrix[2], [0, 0, 1, 0], atol=1e-9)


def test_channels_vote_together(fixed):
    true = rigid((10, -15, 5), (8, -12, 6))
    grid = moving_grid(true)
    other = draw(field_of_view(3), contrast=inverted)
    pair = type(fixed)(np.stack([fixed.array, other.array], -1), fixed.geometry)
    moved = type(fixed)(np.stack([draw(grid, true).array, draw(grid, true, inverted).array], -1), grid)
    assert error_mm(register_affine(pair, moved, transform='rigid').matrix, true) < 0.4


@pytest.mark.parametrize('shift', [(3, -5, 4), (40, -300, 500)])
@pytest.mark.parametrize('place', [(0, 0, 10), (6, 0, -14)])
def test_a_slab_finds_its_place_in_the_whole_and_the_whole_around_the_slab(fixed, shift, place):
    """Also where the headers say that they do not overlap, and where the slab is not in the middle."""
    true = rigid((3, -4, 5), shift)
    middle = true[:-1, :-1] @ np.array(place) + true[:-1, -1]
    slab = draw(field_of_view(3, centre=middle, edge=(100, 100, 30)), true, seed=2)
    found = register_affine(fixed, slab, transform='rigid')
    back = register_affine(slab, fixed, transform='rigid')
    assert (found.points, back.points) == ('moving', 'fixed')
    assert error_mm(found.matrix, true) < 1 and error_mm(np.linalg.inv(back.matrix), true) < 1
