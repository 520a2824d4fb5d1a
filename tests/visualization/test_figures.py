"""Figures: sizes, what is shown where, and files that appear whole."""

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from mmreg.errors import DataError
from mmreg.spatial import identity_grid
from mmreg.structures import RegSample
from mmreg.visualization import RegVisualizer, fold_percentage, overview_figure
from mmreg.visualization.colours import FOLD_COLOUR
from mmreg.visualization.figures import jacobian_of
from mmreg.visualization.slices import Plane, checkerboard, grid_lines, planes_of, to_image


def _pair(size):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, *size, generator=generator)
    return image, image.flip(1), image, torch.zeros(len(size), *size)


@pytest.mark.parametrize('size', [(20, 16), (12, 14, 10)])
@pytest.mark.parametrize('compare', ['difference', 'checkerboard'])
def test_overview_is_an_image_and_a_file(tmp_path, size, compare):
    path = tmp_path / 'deep' / 'a.png'
    rgb = overview_figure(*_pair(size), path, compare=compare, spacing=(1.0,) * len(size), title='case [1]')
    assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3
    stored = (imread(path)[..., :3] * 255).round().astype(np.uint8)
    assert np.array_equal(stored, rgb) and [p.name for p in path.parent.iterdir()] == ['a.png']


def _fold_pixels(rgb):
    return (np.abs(rgb / 255 - np.array(FOLD_COLOUR)) < 0.02).all(-1).sum()


def test_folds_are_marked_and_counted():
    fixed, moving, warped, displacement = _pair((24, 24))
    assert _fold_pixels(overview_figure(fixed, moving, warped, displacement)) == 0
    grid = identity_grid((24, 24))
    displacement[0] = torch.where(grid[0] < 12, -2 * (grid[0] - 6), 0.0)  # x -> 12 - x in one half: determinant -1
    determinant = jacobian_of(displacement.numpy())
    assert determinant.shape == (24, 24)
    assert determinant[3, 3] == pytest.approx(-1) and determinant[18, 3] == pytest.approx(1)
    assert fold_percentage(determinant) == pytest.approx(100 * (determinant <= 0).mean())
    assert 40 < fold_percentage(determinant) < 60
    assert _fold_pixels(overview_figure(fixed, moving, warped, displacement)) > 500


def test_identity_has_no_folds_in_3d():
    assert np.array_equal(jacobian_of(np.zeros((3, 6, 7, 8), np.float32)), np.ones((6, 7, 8), np.float32))


def test_planes_cut_where_they_say():
    volume = np.arange(2 * 4 * 6 * 8).reshape(2, 4, 6, 8)
    first, _, third = planes_of((4, 6, 8))
    assert np.array_equal(first.cut(volume), volume[:, 2]) and np.array_equal(third.cut(volume[0]), volume[0, :, :, 4])
    assert first.in_plane == (1, 2) and third.in_plane == (0, 1)
    assert planes_of((4, 6)) == [Plane(None, 0)] and planes_of((4, 6, 8), axes=[1]) == [Plane(1, 3)]


def test_checkerboard_and_grid_lines():
    board = checkerboard(np.zeros((8, 8)), np.ones((8, 8)), tiles=4)
    assert board[0, 0] == 0 and board[0, 2] == 1 and board[2, 2] == 0 and board.mean() == 0.5
    shift = np.stack([np.full((9, 5), 2.0), np.zeros((9, 5))])
    lines = grid_lines(shift, lines=9)
    assert len(lines) == 9 + 5 and np.allclose(lines[3][:, 0], 5) and np.allclose(lines[-1][:, 1], 4)


def test_wrong_shapes_are_named():
    fixed, moving, warped, displacement = _pair((10, 12))
    with pytest.raises(DataError, match='moving has the shape .9, 12., expected that of fixed'):
        overview_figure(fixed, moving[:, :9], warped, displacement)
    with pytest.raises(DataError, match='displacement has the shape'):
        overview_figure(fixed, moving, warped, displacement[:, :8])
    with pytest.raises(DataError, match="compare='both'"):
        overview_figure(fixed, moving, warped, displacement, compare='both')
    with pytest.raises(DataError, match='two|2 spatial'):
        to_image(np.zeros((1, 2, 3, 4, 5)), 2)


def test_visualizer_hands_the_picture_to_its_backends(tmp_path):
    backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    visualizer = RegVisualizer.get_instance('toy_visualizer', vis_backends=backends, save_dir=str(tmp_path))
    fixed, moving, warped, displacement = _pair((16, 12))
    sample = RegSample(metainfo={'case_id': 'c', 'spacing': (1.0, 2.0)}, fixed=fixed, moving=moving)
    sample.pred = RegSample(warped=warped, displacement=displacement)
    visualizer.add_datasample('val_0', None, sample, step=7, out_file=tmp_path / 'out.png')
    visualizer.close()
    stored = imread(tmp_path / 'vis_data/vis_image/val_0_7.png')
    assert np.array_equal(stored, imread(tmp_path / 'out.png')[..., :3])
    assert any('events' in path.name and path.stat().st_size > 1000 for path in (tmp_path / 'vis_data').iterdir())
