"""Every runnable config: it loads, all its parts exist, and its model can be built and trained with its objective."""

import pytest
import torch

from mmreg.models import Registrar
from mmreg.plugins import register_all_modules
from mmreg.registration.optimisation import Settings
from mmreg.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    REGISTRARS,
)
from tests import configs

CONFIGS = configs.ALL
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


#: Classical methods, which have nothing to train.
CLASSICAL = ('spine_elastix', 'spine_elastix_demo')
#: Presets of registration without training: a free field and how it is optimised.
PRESETS = [path for path in CONFIGS if path.stem.startswith('register_')]
TRAINED = [path for path in CONFIGS if path.stem not in CLASSICAL and path not in PRESETS]


@pytest.fixture(scope='module', autouse=True)
def parts():
    register_all_modules()


@pytest.mark.parametrize('path', TRAINED, ids=lambda p: p.stem)
def test_model_builds(path):
    """Built without memory for its weights: the published sizes are what is checked, not their values."""
    model = configs.read(path).model
    with torch.device('meta'):
        built = REGISTRARS.build(model)
    assert isinstance(built, Registrar)
    assert len(list(built.parameters())) > 0
    assert built.objective is not None and any(term.config.weight for term in built.objective.terms.values())
    assert len(built.size_divisor) == len(built.min_size) == built.ndim


@pytest.mark.parametrize('path', TRAINED, ids=lambda p: p.stem)
def test_parts_of_the_run_exist(path):
    cfg = configs.read(path)
    for name in LOADERS:
        loader = cfg[name]
        assert DATASETS.get(loader.dataset.type) is not None
        assert DATA_SAMPLERS.get(loader.sampler.type) is not None
    for metric in (*cfg.val_evaluator, *cfg.test_evaluator):
        METRICS.build(dict(metric))
    for hook in cfg.default_hooks.values():
        assert HOOKS.get(hook.type) is not None
    for scheduler in cfg.param_scheduler:
        assert PARAM_SCHEDULERS.get(scheduler.type) is not None
    assert LOOPS.get(cfg.train_cfg.type) is not None
    assert OPTIM_WRAPPERS.get(cfg.optim_wrapper.type) is not None
    assert OPTIMIZERS.get(cfg.optim_wrapper.optimizer.type) is not None


@pytest.mark.parametrize('path', TRAINED, ids=lambda p: p.stem)
def test_length_of_training_and_sampler_agree(path):
    """Runs counted in iterations draw without end and log by iteration; runs counted in epochs do neither."""
    cfg = configs.read(path)
    counted_in_epochs = 'max_epochs' in cfg.train_cfg
    assert counted_in_epochs != ('max_iters' in cfg.train_cfg)
    assert (cfg.train_dataloader.sampler.type == 'SeededEpochSampler') == counted_in_epochs
    assert cfg.log_processor.by_epoch == counted_in_epochs
    assert cfg.default_hooks.checkpoint.get('by_epoch', True) == counted_in_epochs


@pytest.mark.parametrize('name', CLASSICAL)
def test_classical_methods_build_and_are_measured(name):
    cfg = configs.read(next(path for path in CONFIGS if path.stem == name))
    assert isinstance(REGISTRARS.build(cfg.model), Registrar)
    assert cfg.get('train_cfg') is None and cfg.get('optim_wrapper') is None
    assert DATASETS.get(cfg.test_dataloader.dataset.type) is not None
    for metric in cfg.test_evaluator:
        METRICS.build(dict(metric))


@pytest.mark.parametrize('path', PRESETS, ids=lambda p: p.stem)
def test_presets_can_be_optimised(path):
    cfg = configs.read(path)
    model = REGISTRARS.build(cfg.model.to_dict())
    assert isinstance(model, Registrar) and model.objective is not None
    assert Settings.parse(cfg.optimisation.to_dict()).levels
    assert f'register_{cfg.preset.name}' == path.stem and cfg.preset.summary and cfg.preset.suits
