"""Slices that come as volumes with an axis of one voxel: dropped, registered in their planes, and put back."""

import numpy as np
import pytest

import mmreg
from mmreg.cli import main
from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, read_volume, write_volume
from mmreg.registration.files import PairFiles
from mmreg.registration.inputs import read_pair
from mmreg.registration.planes import SlicePlanes, are_slices, is_slice

from .phantoms import write_preset

SIZE = (34, 40)
QUICK = '\noptimisation = dict(levels=[dict(scale=2, iterations=12), dict(scale=1, iterations=8)])'


def picture(shift=(0.0, 0.0), degrees=0.0):
    """Blobs, moved in the plane."""
    x, y = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in SIZE], indexing='ij')
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    x, y = x - shift[0], y - shift[1]
    x, y = c * x + s * y, -s * x + c * y
    blobs = ((-5, -6, 4, 1.0), (6, 3, 3, 0.7), (-2, 9, 2.5, 0.5), (3, -10, 2, 0.8))
    return sum(v * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * r**2)) for a, b, r, v in blobs).astype(np.float32)


def turned(degrees):
    """A rotation about an oblique axis."""
    axis = np.array([1.0, 2.0, 0.5]) / np.linalg.norm([1.0, 2.0, 0.5])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def slice_volume(array, axis=2, height=0.0, degrees=0.0, spacing=1.5):
    """The picture as a volume with one voxel along ``axis``, at a height along its normal, turned about the origin."""
    shape = np.insert(SIZE, axis, 1)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -spacing * (shape - 1) / 2
    affine[axis, 3] += height
    affine[:3] = turned(degrees) @ affine[:3]
    return Volume(np.expand_dims(array, axis), Geometry(tuple(shape.tolist()), affine))


@pytest.fixture
def preset(tmp_path):
    return write_preset(tmp_path, QUICK)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_the_same_as_the_picture_without_the_axis(preset, axis):
    """Whichever axis has one voxel: the displacement of the 2-D picture, nothing along the axis, on the same grid."""
    arrays = picture(), picture((1.5, -1.0))
    grid = np.diag([1.5, 1.5, 1.0])
    flat = mmreg.register(*[(array, grid) for array in arrays], preset=preset, affine='none', device='cpu')
    thin = mmreg.register(*[slice_volume(array, axis) for array in arrays], preset=preset, affine='none', device='cpu')
    assert thin.warped.array.shape == slice_volume(arrays[0], axis).array.shape
    found = np.take(thin.displacement, 0, axis=axis + 1)
    assert np.abs(np.delete(found, axis, axis=0) - flat.displacement).max() < 1e-3
    assert np.abs(found[axis]).max() == 0
    assert np.abs(found).max() > 0.5


@pytest.mark.parametrize(('height', 'degrees'), [(0.0, 0.0), (7.0, 0.0), (-30.0, 25.0)])
def test_wherever_the_planes_lie(preset, height, degrees):
    """The header of a slice says at which height it was taken: planes are laid onto each other, also oblique ones."""
    fixed, moving = picture(), picture((1.0, 0.0))
    near = mmreg.register(slice_volume(fixed), slice_volume(moving), preset=preset, affine='none', device='cpu')
    far = mmreg.register(
        slice_volume(fixed, degrees=degrees), slice_volume(moving, height=height, degrees=degrees),
        preset=preset, affine='none', device='cpu',
    )  # fmt: skip
    assert np.abs(far.warped.array - near.warped.array).max() < 1e-3
    assert far.metrics['lncc']['after'] > far.metrics['lncc']['before'], 'also the start is on the plane'
    assert far.metrics['lncc']['before'] == pytest.approx(near.metrics['lncc']['before'], abs=1e-3)


def test_the_affine_is_found_in_the_plane(preset):
    """A picture turned by 20 degrees, its plane turned and lifted: what is warped is the fixed picture."""
    fixed, moving = slice_volume(picture()), slice_volume(picture((2.0, 3.0), 20.0), height=12.0, degrees=40.0)
    result = mmreg.register(fixed, moving, preset=preset, affine='rigid', only=None, device='cpu', seed=1)
    error = np.abs(result.warped.array - fixed.array).mean()
    assert error < 0.25 * np.abs(picture((2.0, 3.0), 20.0) - picture()).mean()
    linear = result.affine[:3, :3]
    assert np.allclose(linear @ linear.T, np.eye(3), atol=1e-6)


def test_files_in_and_files_out(preset, tmp_path):
    """What the command writes lies on the file's own grid, and what it says of the preset is right."""
    for name, array in (('f', picture()), ('m', picture((1.0, 1.0)))):
        write_volume(tmp_path / f'{name}.nii.gz', slice_volume(array, 1, degrees=10.0))
    out = tmp_path / 'out'
    files = [str(tmp_path / f'{name}.nii.gz') for name in 'fm']
    assert main(['register', *files, '-o', str(out), '--preset', str(preset), '--affine', 'none']) == 0
    warped = read_volume(next(out.glob('warped*')))
    assert warped.geometry.same_grid(read_volume(files[0]).geometry) and warped.array.shape == (34, 1, 40)


def test_a_two_dimensional_network_takes_a_slice(config):
    cfg = config(2, amplitude=1.0, shift=(0.5, -0.3))
    register = mmreg.RegistrationInferencer(cfg, device='cpu')
    thin = register(slice_volume(picture(), 1), slice_volume(picture(), 1))
    flat = register((picture(), np.diag([1.5, 1.5, 1.0])), (picture(), np.diag([1.5, 1.5, 1.0])))
    assert np.allclose(np.delete(thin.displacement[:, :, 0], 1, axis=0), flat.displacement, atol=1e-5)


def test_planar_presets_are_chosen():
    result = mmreg.register(
        slice_volume(picture()), slice_volume(picture((1.0, 0.0))), affine='none', device='cpu',
        cfg_options={'optimisation.levels': [dict(scale=1, iterations=1)]},
    )  # fmt: skip
    assert result.provenance['preset']['name'].startswith('planar')
    assert any('single slices' in reason for reason in result.provenance['preset']['reasons'])


def test_a_slice_against_a_volume_is_refused():
    volume = Volume(np.random.default_rng(0).random((12, 12, 12)).astype(np.float32), Geometry((12, 12, 12), np.eye(4)))
    with pytest.raises(DataError, match='one slice of a volume'):
        mmreg.register(slice_volume(picture()), volume, preset='generic', affine='none', device='cpu')


def test_maps_between_planes():
    """Identity in the plane: the centre of one slice goes to that of a turned one, normals to normals."""
    grids = [slice_volume(picture()).geometry, slice_volume(picture(), 0, degrees=60.0, height=5.0).geometry]
    assert all(map(is_slice, grids)) and not is_slice(Geometry((1, 1, 9), np.eye(4)))

    pair = read_pair(
        PairFiles(*[Volume(np.random.default_rng(0).random(grid.shape).astype(np.float32), grid) for grid in grids]),
        'two',
    )
    assert are_slices(pair) and not SlicePlanes.of(pair).parallel
    matrix = SlicePlanes.of(pair).lifted(np.eye(3))
    assert np.allclose(matrix @ [*grids[0].centre, 1], [*grids[1].centre, 1])
    normal = grids[1].direction[:, 0]
    assert np.allclose(abs((matrix[:3, :3] @ grids[0].direction[:, 2]) @ normal), 1)
