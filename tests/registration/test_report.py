"""A result becomes a report: in one orientation, with the affine and the labels."""

import json
import re

import numpy as np
import pytest
import torch

from mmreg.io import Volume, warp_to_fixed
from mmreg.io.displacement import reoriented_displacement
from mmreg.registration.inputs import Image
from mmreg.registration.results.follow import on_fixed_grid
from mmreg.registration.results.report import report_content, write_result_report
from mmreg.spatial import warp
from tests.io.helpers import oblique, smooth_displacement, smooth_image
from tests.transforms.transform_files import world_affine


def registered(ndim=3, affine=None):
    fixed = oblique((19, 23, 15)[:ndim], degrees=15.0, flips=(0,))
    moving = oblique((25, 21, 17)[:ndim], (1.2, 1.1, 2.0), -10.0, (2.0, -4.0, 10.0), (1,))
    images = {
        name: Image(smooth_image(grid, seed), f'{name}.nii.gz', np.dtype(np.float32))
        for name, grid, seed in (('fixed', fixed, 0), ('moving', moving, 1))
    }
    result = on_fixed_grid('case', smooth_displacement(fixed), images, affine)
    result.metrics = {'dice': {'before': 0.5, 'after': 0.75}, 'folds_percent': {'before': 0.0, 'after': 0.0}}
    result.provenance = {'seed': 1, 'config': 'x = 1'}
    result.timings = {'total': 2.5}
    return result


@pytest.mark.parametrize('ndim', [2, 3])
def test_reoriented_displacement_warps_the_reoriented_image(ndim):
    grid = oblique((12, 14, 10)[:ndim], (1.5, 0.8, 2.5), 70.0, flips=(0,))
    codes = 'RAS'[:ndim]
    assert grid.codes != codes
    image, displacement = smooth_image(grid), smooth_displacement(grid)
    field = reoriented_displacement(displacement, grid, codes)
    turned = image.reoriented(codes)
    first, second = (
        warp(torch.from_numpy(a.copy())[None, None], torch.from_numpy(u)[None])[0, 0].numpy()
        for a, u in ((image.array, displacement), (turned.array, field))
    )
    np.testing.assert_allclose(second, Volume(first, grid).reoriented(codes).array, atol=1e-5)


@pytest.mark.parametrize('ndim', [2, 3])
def test_content_of_a_result(tmp_path, ndim):
    result = registered(ndim, world_affine(ndim))
    content = report_content(result, curves={'total': [(0, 0, 2.0), (0, 1, 1.0)]})
    codes = 'RAS'[:ndim]
    assert set(content.images) == {'fixed', 'moving', 'warped', 'aligned'}
    by_affine = warp_to_fixed(result.moving.volume, np.zeros_like(result.displacement), result.geometry, result.affine)
    np.testing.assert_allclose(content.images['aligned'], by_affine.reoriented(codes).array, atol=1e-5)
    assert content.headline['Dice'] == '0.500 \u2192 0.750' and content.headline['time'] == '2.5 s'
    path = write_result_report(result, tmp_path)
    data = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding='utf-8'), re.DOTALL)[1])
    assert [entry['key'] for entry in data['images']] == ['fixed', 'moving', 'warped', 'aligned']


def test_labels_are_brought_to_the_fixed_grid():
    result = registered()
    names = {'fixed': result.fixed.volume, 'moving': result.moving.volume}
    labels = {name: Volume((v.array > 0.5).astype(np.int16), v.geometry) for name, v in names.items()}
    result.warped_labels = warp_to_fixed(labels['moving'], result.displacement, result.geometry, mode='nearest')
    content = report_content(result, labels=labels)
    assert {array.shape for array in content.labels.values()} == {content.images['fixed'].shape}
    np.testing.assert_array_equal(content.labels['fixed'], labels['fixed'].reoriented('RAS').array)
    assert 'aligned' not in content.images
