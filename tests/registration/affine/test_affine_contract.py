"""What an affine registration promises besides accuracy: starts, masks, repeatability, refusals, records."""

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import ConfigError, DataError
from mmreg.io import Volume, affine_transform, read_transform, write_transform
from mmreg.registration.affine import register_affine

from .affine_phantoms import draw, error_mm, field_of_view, inside, rigid

SMALL = {'samples': 8000, 'transform': 'rigid'}


@pytest.fixture(scope='module')
def fixed():
    return draw(field_of_view(3, spacing=3.0), seed=1)


@pytest.fixture(scope='module')
def pair(fixed):
    true = rigid((5, -8, 4), (6, -3, 5))
    return fixed, draw(field_of_view(3, spacing=3.0, centre=(6, -3, 5)), true), true


def test_same_seed_same_bits(pair):
    fixed, moving, _ = pair
    first, second, other = (register_affine(fixed, moving, seed=seed, **SMALL).matrix for seed in (0, 0, 1))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()
    assert first.dtype == np.float64


def test_aligned_images_stay(fixed):
    again = draw(fixed.geometry, seed=9)
    result = register_affine(fixed, again, transform='affine', samples=20000)
    assert error_mm(result.matrix, np.eye(4)) < 0.4
    assert result.after >= result.before


def test_nothing_better_keeps_the_start(fixed):
    result = register_affine(fixed, fixed, initial=np.eye(4), iterations=1, **SMALL)
    noise = Volume(np.random.default_rng(0).normal(size=fixed.array.shape).astype(np.float32), fixed.geometry)
    kept = register_affine(fixed, noise, minimum_overlap=0.999, search='moments', **SMALL)
    assert result.after >= result.before
    assert np.array_equal(kept.matrix, np.eye(4))
    assert any('it is kept' in sentence for sentence in kept.warnings)


def test_given_start_is_used_and_not_searched(pair):
    fixed, moving, true = pair
    result = register_affine(fixed, moving, initial=true, **SMALL)
    assert result.start == 'given'
    assert not any(stage.name.startswith('start') for stage in result.stages)
    assert error_mm(result.matrix, true) < 0.4


def test_no_search_starts_from_the_headers(pair):
    fixed, moving, true = pair
    result = register_affine(fixed, moving, search='none', **SMALL)
    assert result.start == 'headers'
    assert error_mm(result.matrix, true) < 0.4


def test_fixed_mask_takes_the_disturbed_part_out(pair):
    """A large bright body that moves otherwise in one half of the image is left out of the similarity."""
    fixed, moving, true = pair
    voxels = np.stack(np.meshgrid(*map(np.arange, fixed.geometry.shape), indexing='ij'), axis=-1)
    body = inside(fixed.geometry.voxel_to_world(voxels), (0, -38, 0), (45, 8, 45))
    away = inside(moving.geometry.voxel_to_world(voxels), (6, -30, 17), (45, 8, 45))
    spoilt = Volume((fixed.array + 2 * body).astype(np.float32), fixed.geometry)
    moved = Volume((moving.array + 2 * away).astype(np.float32), moving.geometry)
    masks = {
        'fixed_mask': Volume((body < 0.01).astype(np.uint8), fixed.geometry),
        'moving_mask': Volume((away < 0.01).astype(np.uint8), moving.geometry),
    }
    without = register_affine(spoilt, moved, similarity='ncc', search='none', **SMALL)
    masked = register_affine(spoilt, moved, similarity='ncc', search='none', **masks, **SMALL)
    assert error_mm(masked.matrix, true) < 0.6
    assert error_mm(without.matrix, true) > 3 * error_mm(masked.matrix, true)


def test_impossible_stretch_is_refused(fixed):
    true = rigid((0, 0, 0), (0, 0, 0), scale=(1.15, 1.15, 1.15))
    moving = draw(field_of_view(3, spacing=3.0, edge=120), true)
    result = register_affine(fixed, moving, samples=8000, scale_limits=(0.95, 1.05))
    assert np.allclose(result.scales, 1, atol=1e-6)
    assert any('rigid result is kept' in sentence for sentence in result.warnings)


def test_records(pair):
    fixed, moving, _ = pair
    told = []
    result = register_affine(fixed, moving, progress=lambda *args: told.append(args), samples=8000)
    names = [stage.name for stage in result.stages]
    assert 'start: headers' in names and 'rigid' in names and 'affine' in names
    assert [stage.level for stage in result.stages if stage.name == 'affine'][-1] == 0
    assert len(told) == sum(len(curve) for curve in result.curves.values()) > 0
    assert result.seconds > 0 and 0 < result.overlap <= 1


def test_matrix_is_what_itk_reads(pair, tmp_path):
    """The written matrix, applied by SimpleITK alone, brings the moving phantom onto the fixed one."""
    fixed, moving, _ = pair
    matrix = register_affine(fixed, moving, **SMALL).matrix
    write_transform(tmp_path / 'affine.tfm', affine_transform(matrix))
    assert np.allclose(read_transform(tmp_path / 'affine.tfm').affine, matrix)
    transform = sitk.ReadTransform(str(tmp_path / 'affine.tfm'))
    warped = sitk.Resample(moving.to_sitk(), fixed.to_sitk(), transform, sitk.sitkLinear)
    before = sitk.Resample(moving.to_sitk(), fixed.to_sitk())
    errors = [np.abs(Volume.from_sitk(image).array - fixed.array).mean() for image in (warped, before)]
    assert errors[0] < 0.4 * errors[1]


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        ({'transform': 'elastic'}, "affine.transform is 'elastic', expected one of"),
        ({'similarity': 'ssd'}, "affine.similarity is 'ssd', expected one of"),
        ({'search': 'all'}, "affine.search is 'all', expected one of"),
        ({'samples': 3.5}, 'affine.samples is 3.5, expected a whole number'),
        ({'finest': -1}, 'affine.finest is -1, expected mm'),
        ({'scale_limits': (2, 3)}, 'affine.scale_limits is'),
        ({'speed': 'fast'}, r"affine has the keys \['speed'\]"),
    ],
)
def test_wrong_settings(fixed, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        register_affine(fixed, fixed, **settings)


def test_wrong_images(fixed):
    flat = draw(field_of_view(2))
    two = Volume(np.stack([fixed.array] * 2, -1), fixed.geometry)
    constant = Volume(np.full_like(fixed.array, 7), fixed.geometry)
    broken = Volume(np.where(fixed.array > 0.5, np.nan, fixed.array), fixed.geometry)
    for moving, sentence in (
        (flat, 'found a 2-D image, expected 3 axes'),
        (two, 'found 2 channels, expected 1'),
        (constant, 'moving: found a constant image'),
        (broken, 'moving'),
    ):
        with pytest.raises(DataError, match=sentence):
            register_affine(fixed, moving)


def test_wrong_masks_and_matrices(fixed):
    mask = Volume(np.zeros(fixed.array.shape, np.uint8), fixed.geometry)
    other = Volume(np.ones((5, 5, 5), np.uint8), field_of_view(3, edge=12.5))
    for keys, sentence in (
        ({'fixed_mask': mask}, 'fixed_mask: found no voxel above zero'),
        ({'moving_mask': other}, 'moving_mask: found a grid'),
        ({'initial': np.eye(3)}, r'initial: found a matrix of shape \(3, 3\)'),
        ({'initial': np.zeros((4, 4))}, 'invertible'),
    ):
        with pytest.raises(DataError, match=sentence):
            register_affine(fixed, fixed, **keys)
