"""`mmreg invert`, `mmreg compose` and `mmreg jacobian`."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

import mmreg
from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    Volume,
    affine_transform,
    compose,
    displacement_transform,
    read_displacement_image,
    read_transform,
    read_volume,
    write_displacement_image,
    write_itk_transform,
    write_transform,
    write_volume,
)
from tests.io.helpers import smooth_displacement

from .transform_files import grids, inside, run, world_affine, write_case

ROUND_TRIP = """
import sys
import SimpleITK as sitk
forward, backward, points = sys.argv[1:]
there, back = sitk.ReadTransform(forward), sitk.ReadTransform(backward)
distances = []
for line in open(points):
    point = tuple(float(number) for number in line.split())
    distances.append(sum((a - b) ** 2 for a, b in zip(back.TransformPoint(there.TransformPoint(point)), point)) ** 0.5)
print(sum(distances) / len(distances))
"""


def lps_points(path, grid, count=200, border=5):
    """Random points of a grid in a file, LPS mm."""
    rng = np.random.default_rng(0)
    voxels = rng.uniform(border, np.array(grid.shape) - 1 - border, (count, grid.ndim))
    np.savetxt(path, grid.voxel_to_world(voxels) * np.array([-1, -1, 1])[: grid.ndim])


@pytest.mark.parametrize('ndim', [2, 3])
def test_forward_then_inverse_returns_landmarks(tmp_path, capsys, ndim):
    displacement, affine = write_case(tmp_path, ndim)
    fixed, _ = grids(ndim)
    write_itk_transform(tmp_path / 't.h5', displacement, fixed, affine)
    assert run('invert', tmp_path / 't.h5', '-o', tmp_path / 'back.h5') == 0
    said = capsys.readouterr().out
    assert 'residual' in said and float(said.split('residual ')[1].split(' mm')[0]) < 0.01
    lps_points(tmp_path / 'points.txt', fixed)
    files = [str(tmp_path / name) for name in ('t.h5', 'back.h5', 'points.txt')]
    alone = subprocess.run([sys.executable, '-c', ROUND_TRIP, *files], check=True, capture_output=True, text=True)
    assert 0 < float(alone.stdout) < 0.1
    # as a displacement image it holds the same map on the grid of the displacement
    assert run('invert', tmp_path / 'warp.nii.gz', '-o', tmp_path / 'back.nii.gz') == 0
    inverse, grid = read_displacement_image(tmp_path / 'back.nii.gz')
    assert grid.same_grid(fixed)
    both = compose(displacement_transform(displacement, fixed), displacement_transform(inverse, fixed))
    assert np.abs(both.displacement_on(fixed)[(slice(None), *inside(fixed.shape, 5))]).mean() < 0.02


def test_affines_are_inverted_exactly(tmp_path, capsys):
    write_transform(tmp_path / 'a.tfm', affine_transform(world_affine()))
    assert run('invert', tmp_path / 'a.tfm', '-o', tmp_path / 'b.mat') == 0
    assert 'exact' in capsys.readouterr().out
    np.testing.assert_allclose(read_transform(tmp_path / 'b.mat').affine, np.linalg.inv(world_affine()), atol=1e-12)
    chain = [tmp_path / 'a.tfm', f'[{tmp_path / "a.tfm"},1]']
    assert run('compose', *chain, '-o', tmp_path / 'c.tfm') == 0
    assert 'AffineTransform' in (tmp_path / 'c.tfm').read_text(encoding='utf-8') and 'Composite' not in (
        tmp_path / 'c.tfm'
    ).read_text(encoding='utf-8')
    np.testing.assert_allclose(read_transform(tmp_path / 'c.tfm').affine, np.eye(4), atol=1e-12)


def test_chains_are_inverted_in_reverse_order():
    fixed, moving = grids()
    first, second = (displacement_transform(smooth_displacement(g, 1.5, n), g) for n, g in enumerate((fixed, moving)))
    chain = [world_affine(), first, world_affine(degrees=-5.0), second]
    inverse, residual = mmreg.invert_transform(chain)
    assert 0 < residual.mean < 1e-2
    start = np.linalg.inv(world_affine())  # points whose way leads through the middle of both displacements
    middle = fixed.centre + np.random.default_rng(0).normal(size=(50, 3)) * 2
    points = middle @ start[:3, :3].T + start[:3, 3]
    there, _ = mmreg.transform_landmarks(chain, points, 'fixed_to_moving')
    assert np.linalg.norm(inverse.transform_points(there.points) - points, axis=1).mean() < 0.1
    # the point-wise inverse has no grid and is exact
    back, error = mmreg.transform_landmarks(chain, there, 'moving_to_fixed')
    assert np.abs(back.points - points).max() < 1e-4 and error.max() < 1e-5


def bspline(grid):
    image = Volume(np.zeros(grid.shape, np.float32), grid).to_sitk()
    transform = sitk.BSplineTransformInitializer(image, (4,) * grid.ndim)
    transform.SetParameters(np.random.default_rng(0).normal(size=len(transform.GetParameters())).tolist())
    return transform


def test_bsplines_need_a_grid(tmp_path, capsys):
    fixed, _ = grids()
    sitk.WriteTransform(bspline(fixed), str(tmp_path / 'b.tfm'))
    write_volume(tmp_path / 'fixed.nii.gz', Volume(np.zeros(fixed.shape, np.float32), fixed))
    assert run('invert', tmp_path / 'b.tfm', '-o', tmp_path / 'c.h5') == 2
    assert 'expected a reference image' in capsys.readouterr().err
    assert run('invert', tmp_path / 'b.tfm', '-o', tmp_path / 'c.h5', '-r', tmp_path / 'fixed.nii.gz') == 0
    points = fixed.voxel_to_world(np.random.default_rng(0).uniform(6, 11, (30, 3)))
    there = read_transform(tmp_path / 'b.tfm').transform_points(points)
    assert np.abs(there - points).max() > 0.5
    assert np.linalg.norm(read_transform(tmp_path / 'c.h5').transform_points(there) - points, axis=1).mean() < 0.1


def test_compose_keeps_or_samples_the_parts(tmp_path):
    displacement, affine = write_case(tmp_path)
    fixed, moving = grids()
    chain = [
        tmp_path / 'warp.nii.gz',
        tmp_path / 'affine.mat',
        f'[{tmp_path / "affine.mat"},1]',
        tmp_path / 'affine.mat',
    ]
    assert run('compose', *chain, '-o', tmp_path / 'chain.h5') == 0
    assert run('compose', *chain, '-o', tmp_path / 'chain.nrrd') == 0
    assert run('compose', *chain, '-o', tmp_path / 'elsewhere.nii.gz', '-r', tmp_path / 'moving.nrrd') == 0
    points = fixed.voxel_to_world(np.random.default_rng(0).uniform(4, 13, (30, 3)))
    expected = displacement_transform(displacement, fixed, affine).transform_points(points)
    np.testing.assert_allclose(read_transform(tmp_path / 'chain.h5').transform_points(points), expected, atol=1e-4)
    assert read_transform(tmp_path / 'chain.h5').itk.GetNumberOfTransforms() == 2
    field, grid = read_displacement_image(tmp_path / 'chain.nrrd')
    assert grid.same_grid(fixed)
    np.testing.assert_allclose(
        field, displacement_transform(displacement, fixed, affine).displacement_on(fixed), atol=1e-3
    )
    assert read_displacement_image(tmp_path / 'elsewhere.nii.gz')[1].same_grid(moving)
    # the order matters and is that of antsApplyTransforms
    other = mmreg.compose_transforms([affine, tmp_path / 'warp.nii.gz'])
    assert np.abs(other.transform_points(points) - expected).max() > 0.05


@pytest.mark.parametrize('ndim', [2, 3])
def test_jacobian_of_closed_forms(tmp_path, capsys, ndim):
    fixed, _ = grids(ndim)
    affine = world_affine(ndim)
    result = mmreg.jacobian_map(affine, fixed)
    np.testing.assert_allclose(result.volume.array, 1.05**ndim, rtol=1e-6)
    assert result.folds_percent == 0 and result.sdlogj < 1e-9
    identity = mmreg.jacobian_map(np.eye(ndim + 1), fixed)
    np.testing.assert_allclose(identity.volume.array, 1, atol=1e-7)
    # a quadratic displacement along one axis: central differences are exact, the affine multiplies
    x = np.arange(fixed.shape[0], dtype=np.float32) - 10
    displacement = np.zeros((ndim, *fixed.shape), np.float32)
    displacement[0] = (0.02 * x**2).reshape(-1, *[1] * (ndim - 1))
    write_itk_transform(tmp_path / 't.h5', displacement, fixed, affine)
    assert run('jacobian', tmp_path / 't.h5', '-o', tmp_path / 'j.nii.gz') == 0
    printed = capsys.readouterr().out.split()
    expected = (1 + 0.04 * x) * 1.05**ndim
    middle = (slice(1, -1),) + (fixed.shape[1] // 2,) * (ndim - 1)
    determinant = read_volume(tmp_path / 'j.nii.gz')
    np.testing.assert_allclose(determinant.array[middle], expected[1:-1], atol=1e-4)
    assert determinant.geometry.same_grid(fixed)
    numbers = dict(zip(('min', 'max', 'mean'), map(float, printed[printed.index('SDlogJ') + 1 :][:3])))
    array = determinant.array
    assert numbers == pytest.approx({'min': array.min(), 'max': array.max(), 'mean': array.mean()}, abs=1e-4)
    assert run('jacobian', tmp_path / 't.h5', '-o', tmp_path / 'log.nii.gz', '--log') == 0
    logarithm = read_volume(tmp_path / 'log.nii.gz').array[middle]
    np.testing.assert_allclose(logarithm, np.log(expected[1:-1]), atol=1e-4)


def test_jacobian_counts_folds_and_masks(tmp_path):
    grid = Geometry.from_parts((21, 9, 9), (1.0, 2.0, 3.0))
    displacement = np.zeros((3, *grid.shape), np.float32)
    displacement[0, 10:] = -3  # jumps back
    result = mmreg.jacobian_map(displacement_transform(displacement, grid))
    folded = result.volume.array <= 0
    assert result.folds_percent == pytest.approx(100 * 2 / 21, abs=1e-6) and folded[9:11].all()
    assert result.minimum == pytest.approx(-0.5, abs=1e-5)
    mask = np.zeros(grid.shape)
    mask[:8] = 1
    away = mmreg.jacobian_map(displacement_transform(displacement, grid), mask=mask)
    assert away.folds_percent == 0 and away.minimum == pytest.approx(1, abs=1e-6)
    log = mmreg.jacobian_map(displacement_transform(displacement, grid), log=True).volume.array
    assert log.min() == pytest.approx(np.log(1e-3)) and np.isfinite(log).all()
    with pytest.raises(DataError, match='mask: .*expected some on the reference grid'):
        mmreg.jacobian_map(displacement_transform(displacement, grid), mask=np.zeros(grid.shape))


BAD = {
    'invert a missing file': ('invert', '{case}/none.h5', '-o', '{case}/new.h5'),
    'invert to another ending': ('invert', '{case}/affine.mat', '-o', '{case}/new.png'),
    'a field in a mat': ('invert', '{case}/warp.nii.gz', '-o', '{case}/new.mat'),
    'an affine as image': ('invert', '{case}/affine.mat', '-o', '{case}/new.nii.gz'),
    'compose a missing file': ('compose', '{case}/warp.nii.gz', '{case}/none.h5', '-o', '{case}/new.h5'),
    'compose dimensions': ('compose', '{case}/warp.nii.gz', '{case}/flat.txt', '-o', '{case}/new.h5'),
    'jacobian without a grid': ('jacobian', '{case}/affine.mat', '-o', '{case}/new.nii.gz'),
    'jacobian to a transform': ('jacobian', '{case}/warp.nii.gz', '-o', '{case}/new.h5'),
    'mask on another grid': (
        'jacobian',
        '{case}/warp.nii.gz',
        '--mask',
        '{case}/labels.nii.gz',
        '-o',
        '{case}/new.nii',
    ),
    'reference of another dimension': (
        'jacobian',
        '{case}/flat.txt',
        '-r',
        '{case}/fixed.nii.gz',
        '-o',
        '{case}/new.nii',
    ),
}


@pytest.mark.parametrize('what', BAD)
def test_bad_input_is_one_sentence(tmp_path, capsys, what):
    write_case(tmp_path)
    np.savetxt(tmp_path / 'flat.txt', np.eye(3))
    before = sorted(tmp_path.iterdir())
    assert run(*[argument.format(case=tmp_path) for argument in BAD[what]]) == 2
    error = capsys.readouterr().err
    assert error.startswith('mmreg: error: ') and error.count('\n') == 1 and 'expected' in error, error
    assert sorted(tmp_path.iterdir()) == before


def test_files_of_ants(tmp_path):
    """antsApplyTransforms itself, where it is installed."""
    ants = pytest.importorskip('ants')
    displacement, affine = write_case(tmp_path)
    write_displacement_image(tmp_path / 'out_1Warp.nii.gz', displacement, grids()[0])
    write_transform(tmp_path / 'out_0GenericAffine.mat', affine_transform(affine))
    fixed, moving = (ants.image_read(str(tmp_path / name)) for name in ('fixed.nii.gz', 'moving.nrrd'))
    files = [str(tmp_path / name) for name in ('out_1Warp.nii.gz', 'out_0GenericAffine.mat')]
    theirs = ants.apply_transforms(fixed, moving, files).numpy()
    ours = mmreg.apply_transform(tmp_path / 'out_', tmp_path / 'moving.nrrd').array
    assert np.abs(ours - theirs)[inside(ours.shape)].max() < 1e-3


def test_strong_deformations_are_inverted():
    grid = Geometry.from_parts((40, 30), (1.0, 2.0))
    x = np.arange(40, dtype=np.float32) - 19.5
    displacement = np.zeros((2, *grid.shape), np.float32)
    displacement[0] = (6 * np.tanh(x / 3) * (1 - (x / 19.5) ** 2))[:, None]  # stretches to three times in the middle
    _, residual = mmreg.invert_transform(displacement_transform(displacement, grid))
    assert mmreg.jacobian_map(displacement_transform(displacement, grid)).maximum > 2.5
    assert residual.mean < 1e-3 and residual.max < 0.01
