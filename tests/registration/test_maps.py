"""What a model says per voxel besides the displacement arrives on the fixed grid, in mm, and in files."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmreg.apis import RegistrationInferencer
from mmreg.io import Geometry, Volume, read_volume, write_volume
from mmreg.models.base import FlowHead
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import identity_grid
from mmreg.structures import Fields
from tests.io.helpers import oblique, smooth_image

VARIANCE = (1.0, 4.0, 0.25)


@FLOW_HEADS.register_module(name='TestMapsHead', force=True)
class MapsHead(FlowHead):
    """No motion; a known variance of the displacement, and a map that is the index along axis 0."""

    def forward(self, features, integrator, guidance):
        fixed = guidance['fixed']
        count, size = len(fixed), fixed.shape[2:]
        ndim = len(size)
        variance = torch.tensor(VARIANCE[:ndim]).view(1, ndim, *[1] * ndim).expand(count, ndim, *size)
        place = identity_grid(size)[None, :1].expand(count, 1, *size)
        seen = fixed.mean(tuple(range(1, 2 + ndim))).view(-1, 1, *[1] * ndim).expand(count, 1, *size)
        maps = {'displacement_variance': variance, 'place': place, 'seen': seen}
        return Fields([torch.zeros(count, ndim, *size)], extras={'maps': maps})


def inferencer(ndim=3, **inference):
    encoder = {'type': 'EOIREncoder', 'channels': 2}
    model = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {'type': 'ResizePyramid', 'levels': 1, 'encoder': encoder},
        'flow_head': {'type': 'TestMapsHead'},
    }
    return RegistrationInferencer(Config({'model': model, 'inference': inference}), device='cpu')


def test_maps_on_the_fixed_grid_and_in_files(tmp_path):
    geometry = oblique((12, 10, 14), (1.5, 1.0, 2.0), 15.0)
    image = smooth_image(geometry)
    write_volume(tmp_path / 'image.nii.gz', image)
    result = inferencer()(tmp_path / 'image.nii.gz', tmp_path / 'image.nii.gz', out_dir=tmp_path / 'out')
    expected = np.sqrt(sum(v * s**2 for v, s in zip(VARIANCE, geometry.spacing)))
    np.testing.assert_allclose(result.maps['uncertainty'].array, expected, rtol=1e-5)
    assert (tmp_path / 'out' / 'uncertainty.nii.gz').exists()
    stored = read_volume(tmp_path / 'out' / 'place.nii.gz')
    np.testing.assert_allclose(stored.geometry.affine, geometry.affine, atol=1e-4)
    np.testing.assert_allclose(stored.array, result.maps['place'].array, atol=1e-5)
    index = np.arange(12)[:, None, None]
    np.testing.assert_allclose(result.maps['place'].array, np.broadcast_to(index, geometry.shape), atol=1e-3)


def test_another_working_grid_changes_no_millimetres(tmp_path):
    """The network sees 3 mm voxels: a variance of v voxels is v * 9 mm^2 along every axis."""
    geometry = oblique((24, 24, 24), (1.5, 1.5, 1.5), 0.0)
    write_volume(tmp_path / 'image.nii.gz', smooth_image(geometry))
    result = inferencer(spacing=3.0)(tmp_path / 'image.nii.gz', tmp_path / 'image.nii.gz')
    inside = result.maps['uncertainty'].array[4:-4, 4:-4, 4:-4]
    assert inside.shape == (16, 16, 16)
    np.testing.assert_allclose(inside, 3.0 * np.sqrt(sum(VARIANCE)), rtol=1e-4)


@pytest.mark.parametrize(('axis', 'spacing'), [(2, (1.5, 1.0, 8.0)), (0, (8.0, 1.5, 1.0))])
def test_maps_of_a_stack(tmp_path, axis, spacing):
    """A 2-D model on a volume: every slice has its maps, and nothing varies along the stack."""
    shape = [12, 14]
    shape.insert(axis, 11)  # more slices than are seen at once
    geometry = Geometry.from_parts(tuple(shape), spacing=spacing)
    image = Volume(np.random.default_rng(0).uniform(size=shape).astype(np.float32), geometry)
    write_volume(tmp_path / 'image.nii.gz', image)
    result = inferencer(ndim=2)(tmp_path / 'image.nii.gz', tmp_path / 'image.nii.gz', out_dir=tmp_path / 'out')
    plane = [step for number, step in enumerate(spacing) if number != axis]
    expected = np.sqrt(sum(v * s**2 for v, s in zip(VARIANCE, plane)))
    np.testing.assert_allclose(result.maps['uncertainty'].array, np.full(shape, expected), rtol=1e-5)
    first = np.arange(shape[0 if axis else 1]).reshape((-1, 1, 1) if axis else (1, -1, 1))
    np.testing.assert_allclose(result.maps['place'].array, np.broadcast_to(first, shape), atol=1e-3)
    means = np.moveaxis(result.maps['seen'].array, axis, 0).reshape(11, -1)
    others = tuple(number for number in range(3) if number != axis)
    assert np.ptp(means, axis=1).max() < 1e-5  # each slice has its own map, in its own place
    assert np.corrcoef(means[:, 0], image.array.mean(others))[0, 1] > 0.999999
    assert read_volume(tmp_path / 'out' / 'place.nii.gz').geometry.same_grid(geometry)
    assert (tmp_path / 'out' / 'uncertainty.nii.gz').is_file()


def test_a_plain_model_has_none(config, pair, tmp_path):
    result = RegistrationInferencer(config(amplitude=1.0), device='cpu')(*pair, out_dir=tmp_path / 'out')
    assert not result.maps and not (tmp_path / 'out' / 'uncertainty.nii.gz').exists()


def test_a_monte_carlo_model(tmp_path):
    torch.manual_seed(0)
    backbone = {
        'type': 'TransMorph',
        'width': 4,
        'depths': (2, 2),
        'heads': (2, 2),
        'window': 2,
        'channels': 4,
        'drop': 0.3,
        'monte_carlo': True,
    }
    model = {
        'type': 'MonteCarloRegistrar',
        'samples': 3,
        'backbone': backbone,
        'flow_head': {'type': 'ConvFlowHead', 'init_std': 0.1},
    }
    write_volume(tmp_path / 'fixed.nii.gz', smooth_image(oblique((11, 13, 9))))
    write_volume(tmp_path / 'moving.nii.gz', smooth_image(oblique((11, 13, 9)), seed=3))
    register = RegistrationInferencer(Config({'model': model}), device='cpu')
    result = register(tmp_path / 'fixed.nii.gz', tmp_path / 'moving.nii.gz', out_dir=tmp_path / 'out')
    assert set(result.maps) == {'uncertainty', 'warped_variance'}
    assert result.maps['uncertainty'].array.max() > 0
    stored = read_volume(tmp_path / 'out' / 'warped_variance.nii.gz')
    assert stored.array.max() == pytest.approx(result.maps['warped_variance'].array.max(), rel=1e-4)
