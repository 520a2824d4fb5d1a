"""Memory of a training step: counted without memory, and what `mmreg train --dry-run` says of it."""

import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

from mmreg.cli import main
from mmreg.commands.shared import dry_run
from mmreg.datasets.simulated import SyntheticShapes
from mmreg.evaluation.analysis import complexity
from mmreg.evaluation.analysis.costs import size_of
from mmreg.evaluation.analysis.training_memory import StepMemory, states_of, step_memory
from mmreg.models.registrars.registrar import Registrar
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config, merge_options
from mmreg.utils.shipped import config_folder

#: Runs a real step in a process of its own and prints its peak, bytes, beyond what was there before.
REAL = """
import sys, torch
from mmreg.evaluation.analysis import complexity
from mmreg.models.registrars.registrar import Registrar
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config
register_all_modules()
torch.set_num_threads(1)
model = REGISTRARS.build(load_config(sys.argv[1]).model).train()
def step(size):
    inputs = complexity.example_inputs((size,) * model.ndim, channels=model.backbone.spec.image_channels)
    terms = model(inputs, None, mode='loss')
    sum(value for name, value in terms.items() if name.startswith('loss')).backward()
    model.zero_grad(set_to_none=True)
step(32)
before = int(open('/proc/self/statm').read().split()[1]) * 4096
open('/proc/self/clear_refs', 'w').write('5')
step(int(sys.argv[2]))
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(int(peak.split()[1]) * 1024 - before)
"""


def counted(name, size, autocast=None, **changes):
    register_all_modules()
    cfg = load_config(config_folder() / f'{name}.py')
    merge_options(cfg, changes)
    with torch.device('meta'):
        model = REGISTRARS.build(cfg.model).to('meta')
    channels = model.backbone.spec.image_channels
    inputs = complexity.example_inputs((size,) * model.ndim, channels=channels, device='meta')
    return step_memory(model, inputs, autocast=autocast)


def test_recomputed_levels_need_less():
    plain, less = (counted('eoir_lumir', 48, **{'model.checkpoint_levels': n}) for n in (0, 2))
    assert less.activations < 0.8 * plain.activations and less.weights == plain.weights
    assert plain.total == plain.weights + plain.gradients + plain.optimiser + plain.activations


def test_it_grows_with_the_volume():
    small, large = (counted('voxelmorph_lumir', size) for size in (32, 64))
    assert 7 < large.activations / small.activations < 8.5


def test_states_of_optimisers():
    assert [states_of(name) for name in ('Adam', 'AdamW', 'SGD', 'Unknown')] == [2, 2, 1, 2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='reads the peak of a process from /proc')
@pytest.mark.parametrize('name, size', [('eoir_lumir', 64), ('voxelmorph_lumir', 96), ('transmorph_lumir', 64)])
def test_within_fifteen_percent_of_a_real_step(name, size, monkeypatch):
    """By PyTorch alone, as on a GPU: the kernels in C keep less."""
    monkeypatch.setenv('MMREG_COMPILED', '0')
    monkeypatch.setenv('MALLOC_MMAP_THRESHOLD_', '65536')  # what is freed leaves the process
    words = [sys.executable, '-c', REAL, str(config_folder() / f'{name}.py'), str(size)]
    real = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    memory = counted(name, size)
    expected = memory.activations + memory.gradients
    assert abs(real - expected) < 0.15 * expected, (real, expected)


def small_config(folder):
    config = folder / 'small.py'
    config.write_text(
        f'_base_ = [{str(config_folder() / "voxelmorph_lumir.py")!r}]\n'
        "data = dict(_delete_=True, type='SyntheticShapes', size=(16, 16, 16), count=4)\n"
        'train_dataloader = dict(batch_size=2, num_workers=0, dataset=data)\n'
        'train_cfg = dict(max_epochs=3)\n'
        'val_dataloader = val_cfg = val_evaluator = test_dataloader = test_cfg = test_evaluator = None\n'
    )
    return config


def test_dry_run(tmp_path, monkeypatch, capsys):
    config = small_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(['train', str(config), '--dry-run']) == 0
    told = capsys.readouterr().out
    assert 'memory of a step' in told and 'GiB' in told and '2 x 1 x 16 x 16 x 16' in told
    assert 'steps: 2 per epoch, 6 in all; nothing was trained' in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ['small.py']


def test_a_gpu_that_is_too_small_is_named(monkeypatch):
    memory = StepMemory(2**30, 2**30, 2**31, 20 * 2**30)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert dry_run.warning_of(memory) is None
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 0)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda n: 'a card')
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda n: type('P', (), {'total_memory': 16 * 2**30}))
    told = dry_run.warning_of(memory)
    assert 'a card has 16.0 GiB' in told and '24.0 GiB' in told
    assert all(key in told for key in ('checkpoint_levels', '--amp', 'channels', 'batch_size'))


@pytest.mark.parametrize('room, warned', [(2**10, True), (2**40, False)])
def test_training_says_so_before_its_first_step_and_loads_nothing_for_it(room, warned, tmp_path, monkeypatch, capsys):
    config = small_config(tmp_path)
    loaded, steps = [], []
    get, train = SyntheticShapes.__getitem__, Registrar.train_step
    monkeypatch.setattr(SyntheticShapes, '__getitem__', lambda self, n: (loaded.append(n), get(self, n))[1])

    def step(self, *args, **kwargs):
        steps.append('warning: a card has' in capsys.readouterr().out)
        return train(self, *args, **kwargs)

    monkeypatch.setattr(Registrar, 'train_step', step)
    monkeypatch.setattr(dry_run, 'gpu', lambda: ('a card', room))
    monkeypatch.chdir(tmp_path)
    options = ['train_cfg.max_epochs=1', 'default_hooks.visualization=None']
    assert main(['train', str(config), '--work-dir', str(tmp_path / 'work'), '--cfg-options', *options]) == 0
    assert steps == [warned, False] and sorted(loaded) == [0, 1, 2, 3]


def test_precision_of_a_training():
    def of(**wrapper):
        return dry_run.precision_of(Config({'optim_wrapper': wrapper}))

    assert of(type='OptimWrapper') is None
    assert of(type='MixedPrecisionOptimWrapper') is torch.bfloat16
    assert of(type='MixedPrecisionOptimWrapper', dtype='float16') is torch.float16
    assert of(type='AmpOptimWrapper') is torch.float16
    assert of(type='AmpOptimWrapper', dtype='bfloat16') is torch.bfloat16


def test_mixed_precision_needs_less():
    plain, less = (counted('eoir_lumir', 48, autocast=dtype) for dtype in (None, torch.bfloat16))
    assert 0.5 * plain.activations < less.activations < 0.9 * plain.activations


def test_the_table_of_the_docs_is_up_to_date():
    """A row for each method at least, all of configs as they are now; a cheap one is counted again."""
    from tools import make_memory_table as table

    rows, trainings = table.kept(), list(table.trainings())
    assert list(rows) == [path.stem for path, _ in trainings], 'run python tools/make_memory_table.py'
    for path, cfg in trainings:
        size = 'x'.join(map(str, size_of(cfg, cfg.model.get('ndim', 3))))
        fresh = f'| {size} |' in rows[path.stem] and rows[path.stem].endswith(f'{table.state_of(path)} |')
        assert fresh, f'{path.stem}: run python tools/make_memory_table.py'
        if path.stem == next(name for name in rows if name.startswith('voxelmorph')):
            assert table.row(path, cfg) == rows[path.stem]
    assert table.PAGE.read_text(encoding='utf-8').startswith(table.HEAD)
