"""A network of one size, and raw files of any geometry: what it is shown, and what comes back."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmreg.apis import RegistrationInferencer
from mmreg.errors import ConfigError
from mmreg.io import Geometry, Volume
from mmreg.models.base import Backbone, FeatureSpec
from mmreg.registration.working.preparation import Preparation, find_preparation
from mmreg.registration.working.window import left_out, shown_box, sized
from mmreg.registry import BACKBONES
from tests.io.helpers import oblique

SIZE = (24, 20, 16)


class OneSize(Backbone):
    """A stand-in for a network that was built for one size: it takes no other."""

    def __init__(self, image_channels: int = 1, ndim: int = 3):
        super().__init__()
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=(2,),
            strides=((1,) * ndim,),
            siamese=False,
            size_divisor=(1,) * ndim,
            min_size=(1,) * ndim,
            image_channels=image_channels,
        )

    def forward(self, fixed, moving):
        assert tuple(fixed.shape[2:]) == SIZE == tuple(moving.shape[2:])
        return [torch.cat([moving, fixed], dim=1)]


@pytest.fixture
def one_size():
    BACKBONES.register_module(module=OneSize, force=True)
    yield Config({
        'model': {
            'type': 'Registrar', 'ndim': 3, 'backbone': {'type': 'OneSize'}, 'flow_head': {'type': 'ConvFlowHead'},
            'integrator': {'type': 'IdentityIntegrator'},
        },
        'inference': {'spacing': 2.0, 'orientation': 'LIA', 'size': list(SIZE), 'intensity': [{'type': 'MinMax'}]},
    })  # fmt: skip
    BACKBONES._module_dict.pop('OneSize')


def ball(grid, radius=14.0, at=(0.0, 0.0, 0.0)):
    """A ball in mm around a point of the world; the grid is put around it, off its middle."""
    points = grid.voxel_to_world(np.stack(np.indices(grid.shape), -1).reshape(-1, 3).astype(float))
    away = np.linalg.norm(points - np.asarray(at), axis=1).reshape(grid.shape)
    return Volume((900 * np.clip(1.2 - away / radius, 0, 1)).astype(np.float32), grid)


def around(grid, at=(0.4, 0.55, 0.5)):
    """The grid, moved so that the origin of the world lies at these parts of its axes."""
    affine = grid.affine.copy()
    affine[:3, 3] = 0
    affine[:3, 3] = -(affine @ np.array([*(np.asarray(at) * grid.shape), 1]))[:3]
    return Geometry(grid.shape, affine)


GEOMETRIES = {
    'odd sizes': Geometry.from_parts((37, 41, 29), (1.5, 1.1, 1.9)),
    'larger than the window': Geometry.from_parts((101, 90, 80), (1.0, 1.0, 1.2)),
    'oblique': oblique((45, 39, 51), (1.1, 1.3, 0.9), 13.0, flips=(0, 2)),
    'thick slices': Geometry.from_parts((60, 60, 11), (0.8, 0.8, 4.0)),
}


@pytest.mark.parametrize('grid', GEOMETRIES.values(), ids=GEOMETRIES)
def test_raw_files_reach_a_network_of_one_size_and_come_back(one_size, grid):
    fixed = ball(around(grid))
    moving = ball(around(Geometry.from_parts((33, 44, 35), (1.7, 1.2, 1.4)), (0.6, 0.4, 0.5)), at=(2.0, -1.0, 1.0))
    inferencer = RegistrationInferencer(one_size, device='cpu')
    flow = inferencer.model.flow_head.flow.conv
    torch.nn.init.zeros_(flow.weight)
    flow.bias.data = torch.tensor([-1.0, 0.5, 0.25])  # 2 mm voxels, axes left, inferior, anterior
    result = inferencer(fixed, moving)
    assert result.warped.geometry.same_grid(fixed.geometry)
    moved = np.einsum('ij,j...->...i', fixed.geometry.matrix, result.displacement)
    told = fixed.geometry.reoriented('LIA').direction @ [-2.0, 1.0, 0.5]  # mm
    assert np.allclose(moved, told, atol=1e-3)
    assert not [word for word in result.warnings if 'lies outside' in word]


def test_the_window_lies_around_what_is_shown():
    grid = around(Geometry.from_parts((60, 50, 40)), (0.7, 0.5, 0.3))
    volume = ball(grid, radius=10.0)
    found = sized(grid, Preparation(spacing=1.0, size=(30, 50, 48)), volume)
    assert found.shape == (30, 50, 48) and found.spacing == grid.spacing
    low, high = shown_box(volume, found)
    assert (low > 2).all() and (high < np.array(found.shape) - 3).all()
    assert found.world_to_voxel(grid.voxel_to_world(np.zeros((1, 3))))[0][2] >= 0, 'an axis that is padded holds all'
    assert sized(grid, Preparation(spacing=1.0, size=grid.shape), volume) is grid
    assert sized(grid, Preparation(spacing=1.0), volume) is grid


def test_without_a_spacing_the_field_of_view_is_divided():
    grid = Geometry.from_parts((60, 50, 41), (1.0, 2.0, 3.0))
    found = sized(grid, Preparation(size=(35, 35, 35)), ball(grid))
    assert found.shape == (35, 35, 35)
    assert np.allclose(np.array(found.spacing) * 35, np.array(grid.spacing) * grid.shape)
    assert np.allclose(found.centre, grid.centre)


def test_what_does_not_fit_is_said():
    grid = around(Geometry.from_parts((60, 60, 60)), (0.5, 0.5, 0.5))
    volume = ball(grid, radius=25.0)
    window = sized(grid, Preparation(spacing=1.0, size=(20, 60, 60)), volume)
    sentence = left_out(volume, window)
    assert sentence and '20 x 60 x 60' in sentence and left_out(volume, grid) is None
    empty = Volume(np.zeros(grid.shape, np.float32), grid)
    assert left_out(empty, window) is None and (shown_box(empty, grid)[0] == 0).all()


@pytest.mark.parametrize('size', [0, 'large', [16, 2.5], [16, 10**9], []])
def test_sizes_that_are_none(size):
    with pytest.raises(ConfigError, match=r'inference\.size'):
        find_preparation({'inference': {'size': size}})
