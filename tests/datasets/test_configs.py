"""The base configs of the data sets load, follow data_root wherever it is given, and build."""

from pathlib import Path

import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import mmreg.datasets  # noqa: F401  (fills the registries)
import mmreg.engine  # noqa: F401
import mmreg.evaluation  # noqa: F401
from mmreg.registry import DATASETS, METRICS
from mmreg.utils.config import fix_dataloaders, load_config, merge_options

from .helpers import lumir_folder

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
CONFIGS = sorted(FOLDER.glob('*.py'))
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_is_complete(path):
    cfg = load_config(path)
    for name in LOADERS:
        loader = cfg[name]
        assert loader.batch_size == 1 and loader.sampler.type == 'SeededEpochSampler'
        assert loader.worker_init_fn.type == 'mmreg.own_group_worker'
        assert loader.sampler.shuffle == (name == 'train_dataloader')
        assert DATASETS.get(loader.dataset.type) is not None
    for metric in (*cfg.val_evaluator, *cfg.test_evaluator):
        METRICS.build(dict(metric))


#: Data that the project makes itself have no folder.
MADE = ('demo_brain', 'phantom_spine', 'any_brains', 'any_shapes')


@pytest.mark.parametrize('path', [p for p in CONFIGS if p.stem not in MADE], ids=lambda p: p.stem)
def test_data_root_from_environment_and_options(path, monkeypatch):
    roots = {load_config(path)[name].dataset.data_root for name in LOADERS}
    assert len(roots) == 1 and roots.pop().startswith('data/')
    monkeypatch.setenv('MMREG_DATA', '/elsewhere')
    cfg = load_config(path)
    assert all(cfg[name].dataset.data_root.startswith('/elsewhere/') for name in LOADERS)
    merge_options(cfg, {'data_root': '/third'})
    assert [cfg[name].dataset.data_root for name in LOADERS] == ['/third'] * 3


def test_demo_ranges_are_disjoint():
    cfg = load_config(FOLDER / 'demo_brain.py')
    ranges = [set(range(d.first, d.first + d.count)) for d in (cfg[name].dataset for name in LOADERS)]
    assert not ranges[0] & ranges[1] and not ranges[0] & ranges[2] and not ranges[1] & ranges[2]


def test_runner_builds_the_loader(tmp_path):
    lumir_folder(tmp_path)
    cfg = load_config(FOLDER / 'lumir.py')
    merge_options(cfg, {'data_root': str(tmp_path), 'train_dataloader.num_workers': 0})
    fix_dataloaders(cfg, has_accelerator=False)
    with DefaultScope.overwrite_default_scope('mmreg'):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=3)
    assert loader.dataset.seed == 3
    batches = list(loader)
    assert len(batches) == 4 and len(batches[0]['inputs']['fixed']) == 1
