"""Meshes through `mmreg apply`: points go the other way than images, which a known map shows."""

import nibabel
import numpy as np
import pytest

from mmreg.cli import main
from mmreg.io import Volume, affine_transform, read_volume, write_transform, write_volume
from mmreg.io.meshes import read_mesh
from mmreg.transforms.outputs import names_of
from tests.io import test_meshes as made
from tests.io.helpers import smooth_displacement

from .transform_files import grids

MATRIX = np.array([[1.0, 0.1, 0, 6.0], [-0.1, 1.0, 0, -4.0], [0, 0, 1.05, 2.0], [0, 0, 0, 1]])


def moved(points, matrix):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


@pytest.fixture
def folder(tmp_path):
    write_transform(tmp_path / 'map.tfm', affine_transform(MATRIX))
    made.vtk(tmp_path / 'a.vtk', 'BINARY')
    made.ply(tmp_path / 'b.ply')
    made.gifti(tmp_path / 'c.surf.gii')
    made.stl(tmp_path / 'd.stl', 'binary')
    return tmp_path


def apply(folder, *words):
    return main(['apply', str(folder / 'map.tfm'), *map(str, words), '-o', str(folder / 'out')])


@pytest.mark.parametrize('how', ['input', 'option'])
def test_a_mesh_of_the_moving_image_goes_by_the_inverse(folder, how):
    names = ['a.vtk', 'b.ply', 'c.surf.gii']
    words = [word for name in names for word in ([] if how == 'input' else ['--moving-mesh']) + [folder / name]]
    assert apply(folder, *words) == 0
    for name in ('a_in_fixed.vtk', 'b_in_fixed.ply', 'c_in_fixed.surf.gii'):
        found = read_mesh(folder / 'out' / name).points
        np.testing.assert_allclose(found, moved(made.POINTS, np.linalg.inv(MATRIX)), atol=1e-4)


@pytest.mark.parametrize('words', [['--fixed-mesh', 'a.vtk'], ['--inverse', 'a.vtk']])
def test_a_mesh_of_the_fixed_image_goes_by_the_transform(folder, words):
    assert apply(folder, *(folder / word if word.endswith('vtk') else word for word in words)) == 0
    found = read_mesh(folder / 'out/a_in_moving.vtk').points
    np.testing.assert_allclose(found, moved(made.POINTS, MATRIX), atol=1e-4)


def test_files_in_lps_stay_in_lps(folder):
    assert apply(folder, '--moving-mesh', folder / 'd.stl', '--mesh-frame', 'ras') == 0
    flip = np.array([-1, -1, 1])
    layout = np.dtype([('normal', '<f4', 3), ('corners', '<f4', (3, 3)), ('attribute', '<u2')])
    found = np.frombuffer((folder / 'out/d_in_fixed.stl').read_bytes()[84:], layout)
    corners = np.concatenate([made.POINTS[list(face)] for face in made.FACES])
    wanted = moved(corners * flip, np.linalg.inv(MATRIX)) * flip
    np.testing.assert_allclose(found['corners'].reshape(-1, 3), wanted, atol=1e-4)


def test_the_mesh_stays_on_what_it_surrounds(tmp_path):
    """A surface around a ball of the moving image lies around the ball in the warped image."""
    fixed, _ = grids()
    rng = np.random.default_rng(0)
    displacement = smooth_displacement(fixed, 1.0)
    from mmreg.io import write_displacement_image

    write_displacement_image(tmp_path / 'map.nii.gz', displacement, fixed)
    centre = fixed.voxel_to_world(np.array([[(n - 1) / 2 for n in fixed.shape]]))[0]
    sphere = rng.normal(size=(200, 3))
    sphere = centre + 5 * sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    grid = np.stack(np.meshgrid(*map(np.arange, fixed.shape), indexing='ij'), -1).reshape(-1, 3)
    away = np.linalg.norm(fixed.voxel_to_world(grid) - centre, axis=1).reshape(fixed.shape)
    write_volume(tmp_path / 'ball.nii.gz', Volume(away.astype(np.float32), fixed))
    points = nibabel.gifti.GiftiDataArray(sphere.astype(np.float32), intent='NIFTI_INTENT_POINTSET')
    nibabel.save(nibabel.GiftiImage(darrays=[points]), tmp_path / 'ball.gii')
    words = ['apply', tmp_path / 'map.nii.gz', tmp_path / 'ball.nii.gz', tmp_path / 'ball.gii', '-o', tmp_path / 'out']
    assert main([*map(str, words)]) == 0
    there = read_mesh(tmp_path / 'out/ball_in_fixed.gii').points
    warped = read_volume(tmp_path / 'out/ball_warped.nii.gz')
    nearest = np.rint(warped.geometry.world_to_voxel(there)).astype(int)
    values = warped.array[tuple(nearest.T)]
    plain = warped.array[tuple(np.rint(warped.geometry.world_to_voxel(sphere)).astype(int).T)]
    assert np.abs(values - 5).mean() < 0.75 and np.abs(values - 5).mean() < np.abs(plain - 5).mean()


def test_what_is_no_mesh_writes_nothing(folder, capsys):
    (folder / 'a.vtk').write_text('nothing')
    assert apply(folder, '--moving-mesh', folder / 'a.vtk', '--fixed-mesh', folder / 'b.ply') == 2
    assert 'a.vtk: found no header of a legacy VTK' in capsys.readouterr().err and not (folder / 'out').exists()


@pytest.mark.parametrize(
    ('given', 'written'),
    [('lh.surf.gii', 'lh_in_fixed.surf.gii'), ('LH.Surf.GII', 'LH_in_fixed.Surf.GII'), ('a.gii', 'a_in_fixed.gii'),
     ('a.surf.vtk', 'a.surf_in_fixed.vtk')],
)  # fmt: skip
def test_a_surface_of_gifti_keeps_its_ending(given, written):
    """Programs tell it by both parts."""
    assert names_of(given) == [written]
