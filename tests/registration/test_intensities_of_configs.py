"""For every config: what inference does to the intensities of a file is what its data set does."""

from pathlib import Path

import numpy as np
import pytest

from mmreg.datasets.transforms import LoadVolumes, Resample, ToSpacing, Zoom
from mmreg.engine.plan import preprocess_of
from mmreg.io import Geometry
from mmreg.plugins import register_all_modules
from mmreg.registration.inputs import read_pair
from mmreg.registration.working.intensities import transform_class
from mmreg.registration.working.preparation import find_preparation, on_grid, working_grid
from mmreg.registration.working.stacks import stack_axis
from mmreg.registry import DATASETS
from tests import configs
from tests.made.layouts import LAYOUTS, make

CONFIGS = configs.ALL
RESAMPLING = (Zoom, Resample, ToSpacing)


def data_of(path):
    """Folder below MMREG_DATA that a config reads, None where it makes its data itself or has none."""
    loader = configs.look(path).get('test_dataloader') or {}
    return Path((loader.get('dataset') or {}).get('data_root', '')).name or None


def recipes():
    """One config for every recipe of data and intensities among all of them."""
    found = {}
    for path in CONFIGS:
        cfg = configs.look(path)
        name = data_of(path)
        if name in LAYOUTS:
            # The configs of one data set that say the same about it are tried once.
            key = (name, str(cfg.test_dataloader.dataset), str(cfg.get('inference')), cfg.model.get('ndim', 3))
            found.setdefault(key, path)
    return list(found.values())


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    register_all_modules()
    return tmp_path_factory.mktemp('data')


@pytest.mark.parametrize('path', recipes(), ids=lambda p: p.stem)
def test_tensors_of_inference_are_those_of_the_data_set(path, data, monkeypatch):
    monkeypatch.setenv('MMREG_DATA', str(data))
    make(data, data_of(path))
    cfg = configs.read(path)
    dataset = DATASETS.build(dict(cfg.test_dataloader.dataset, cache=None))
    sample = dataset[0]
    trained = {role: np.asarray(sample['inputs'][role]) for role in ('fixed', 'moving')}
    meta = sample['data_samples']
    pair = read_pair({role: as_stored(dataset, getattr(meta, f'{role}_path'), role) for role in trained})
    stack = pair.fixed.geometry.ndim > cfg.model.get('ndim', 3)
    axis = stack_axis(pair.fixed.geometry) if stack else None
    preparation = find_preparation(cfg)
    grid = working_grid(pair.fixed.geometry, preparation, axis)
    # Training grids that are not the file's own (Zoom, Resample, ToSpacing) place their voxels by rules of their own.
    resampled = any(issubclass(transform_class(step), RESAMPLING) for step in preprocess_of(cfg) or ())
    exact = not resampled or grid.same_grid(pair.fixed.geometry)
    for role, image in pair.images.items():
        ours = on_grid(image.volume, grid, preparation, None, role, axis)
        ours = ours[..., int(str(meta.case_id)[-2:])] if stack else ours
        theirs = aligned(trained[role], np.asarray(meta.affine), grid, ours.shape[1:], exact)
        seen = np.isfinite(theirs)
        assert seen.mean() > 0.2
        if exact:
            np.testing.assert_allclose(ours[seen], theirs[seen], atol=2e-5)
        else:
            assert np.abs(ours[seen] - theirs[seen]).mean() < 0.03
            assert np.corrcoef(ours[seen], theirs[seen])[0, 1] > 0.97


def as_stored(dataset, path, role):
    """The file, or what is in a pickle, which inference is handed as an array."""
    if not path.endswith('.pkl'):
        return path
    sources = [source for source in dataset.sources if source['image'] == path]
    loaded = LoadVolumes()(sources[-1 if role == 'moving' else 0])
    return loaded['image'][0], loaded['affine']


def aligned(image, affine, grid, size, exact):
    """``image`` of a sample at the voxels of ``grid``; NaN where the sample does not reach."""
    ndim = len(size)
    sampled = Geometry((*image.shape[1:], *([1] * (grid.ndim - ndim))), affine)
    axes = [np.arange(n, dtype=float) for n in (*size, *([1] * (grid.ndim - ndim)))]
    voxels = np.stack(np.meshgrid(*axes, indexing='ij'), -1)
    if ndim < grid.ndim:  # the slice's own place along the stack
        voxels[..., -1] = grid.world_to_voxel(sampled.voxel_to_world(np.zeros((1, 3))))[0, -1]
    there = sampled.world_to_voxel(grid.voxel_to_world(voxels))[..., :ndim]
    there = there[..., 0, :] if ndim < grid.ndim else there
    from scipy import ndimage

    inside = np.all((there > -1e-3) & (there < np.array(image.shape[1:]) - 1 + 1e-3), -1)
    if exact:
        assert np.abs(there - there.round()).max() < 1e-3
    values = ndimage.map_coordinates(image[0], np.moveaxis(there, -1, 0), order=0 if exact else 1, mode='nearest')
    return np.where(inside, values, np.nan)[None]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_no_intensity_step_of_a_data_set_is_lost(path):
    """What training does to intensities in ``preprocess``, ``stack`` or ``pipeline`` is in the preparation."""
    from mmreg.datasets.transforms import ImageTransform
    from mmreg.engine.plan import pair_transforms_of
    from mmreg.registration.working.intensities import RANDOM

    cfg = configs.read(path)
    found = find_preparation(cfg)
    wanted = [
        step['type']
        for step in (*(preprocess_of(cfg) or ()), *pair_transforms_of(cfg))
        if issubclass(transform_class(step), ImageTransform) and not issubclass(transform_class(step), RANDOM)
    ]
    if wanted:
        kept = [*found.intensity, *found.pair]
        assert [step['type'] for step in kept if issubclass(transform_class(step), ImageTransform)] == wanted
