"""The figure of a field: as the patient lies, on the scale of the reports."""

import numpy as np
import pytest

from mmreg.io import Geometry, write_displacement_image
from mmreg.visualization.colours import FOLD_COLOUR
from mmreg.visualization.field_figure import field_figure
from mmreg.visualization.field_report import report_field


def picture(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255


@pytest.mark.parametrize('shape', [(20, 24), (20, 24, 10)])
def test_folds_and_letters_are_drawn(shape):
    field = np.zeros((len(shape), *shape), np.float32)
    determinants = np.ones(shape, np.float32)
    plain = picture(field_figure(field, determinants, {'zero': determinants * 0}, codes='RAS'[: len(shape)]))
    determinants[5:10, 5:10] = -1
    folded = picture(field_figure(field, determinants, {'zero': determinants * 0}, codes='RAS'[: len(shape)]))
    assert plain.shape == folded.shape
    yellow = (np.abs(folded - np.array(FOLD_COLOUR)) < 0.02).all(-1)
    assert yellow.sum() > 200 and not (np.abs(plain - np.array(FOLD_COLOUR)) < 0.02).all(-1).any()
    assert yellow.nonzero()[1].min() > 0.6 * folded.shape[1], 'in the last panel'


def test_the_same_field_on_turned_arrays_gives_the_same_figure(tmp_path):
    """A FreeSurfer grid (left, inferior, anterior) is drawn as one that runs to the right, the front and the head."""
    rng = np.random.default_rng(0)
    grid = Geometry.from_parts((12, 14, 10), (2.0, 2.0, 2.0))
    turned = grid.reoriented('LIA')
    world = rng.normal(size=(12, 14, 10, 3)).astype(np.float32)
    images = []
    for name, geometry in (('a', grid), ('b', turned)):
        axes, flips = grid.reorientation(geometry.codes)
        vectors = np.flip(world.transpose(*axes, 3), [n for n, flip in enumerate(flips) if flip])
        voxels = vectors @ np.linalg.inv(geometry.matrix).T
        path = tmp_path / f'{name}.nii.gz'
        write_displacement_image(path, np.ascontiguousarray(np.moveaxis(voxels, -1, 0)).astype(np.float32), geometry)
        rows = report_field(path, tmp_path / 'out')
        images.append((tmp_path / 'out' / f'{name}.png', {row.metric: row.value for row in rows}))
    from matplotlib.image import imread

    first, second = (imread(path) for path, _ in images)
    assert first.shape == second.shape and np.abs(first - second).mean() < 0.01
    assert images[0][1]['sdlogj'] == pytest.approx(images[1][1]['sdlogj'], rel=1e-4)
