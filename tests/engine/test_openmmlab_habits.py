"""What OpenMMLab users do out of habit: each tried on a toy run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.conftest import ROOT, last, log_text, scalars
from tests.engine.toy import write_config

TOY = Path(__file__).parent / 'toy.py'


def test_a_plain_script_with_runner_from_cfg(tmp_path):
    """``Runner.from_cfg(Config.fromfile(...))``, no command of ours."""
    config = write_config(tmp_path, length=2)
    script = tmp_path / 'train.py'
    script.write_text(
        'from mmengine.config import Config\n'
        'from mmengine.runner import Runner\n'
        'from mmreg.plugins import register_all_modules\n'
        f'register_all_modules([{str(TOY)!r}])\n'
        f'cfg = Config.fromfile({str(config)!r})\n'
        f'cfg.work_dir = {str(tmp_path / "run")!r}\n'
        'Runner.from_cfg(cfg).train()\n'
    )
    run = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert last(tmp_path / 'run')['meta']['epoch'] == 2


def test_average_weights_early_stopping_accumulation_and_two_backends(tmp_path, train):
    extra = (
        "custom_hooks = [dict(type='EMAHook', momentum=0.1),\n"
        "    dict(type='EarlyStoppingHook', monitor='toy/error', rule='less', min_delta=100.0, patience=1)]\n"
        'optim_wrapper.update(accumulative_counts=2)\n'
        f"visualizer = dict(type='RegVisualizer', vis_backends=[dict(type='LocalVisBackend'),"
        f" dict(type='LocalVisBackend', name='second', save_dir={str(tmp_path / 'second')!r})])\n"
    )
    config = write_config(tmp_path, length=6, extra=extra)
    assert train(config, tmp_path / 'run') == 0
    found = last(tmp_path / 'run')
    assert 'ema_state_dict' in found
    assert found['meta']['epoch'] < 6, 'stopped early'
    assert scalars(tmp_path / 'run') and list((tmp_path / 'second').rglob('scalars.json'))


@pytest.mark.parametrize(
    'schedule',
    [
        "[dict(type='LinearLR', start_factor=0.1, by_epoch=True, end=2), dict(type='CosineAnnealingLR', begin=2)]",
        "[dict(type='MultiStepLR', milestones=[1, 3])]",
        "[dict(type='OneCycleLR', eta_max=0.1, total_steps=12, by_epoch=False)]",
    ],
)
def test_schedules_of_the_engine(tmp_path, train, schedule):
    config = write_config(tmp_path, length=4, extra=f'param_scheduler = {schedule}\n')
    assert train(config, tmp_path / 'run') == 0
    rates = [line['lr'] for line in scalars(tmp_path / 'run') if 'lr' in line]
    assert len(rates) == 12 and len(set(rates)) > 1


def test_options_of_the_command(tmp_path, train):
    config = write_config(tmp_path, length=1)
    options = ['--amp', '--auto-scale-lr', '--launcher', 'none', '--cfg-options', 'optim_wrapper.optimizer.lr=0.02']
    assert train(config, tmp_path / 'run', *options) == 0
    assert last(tmp_path / 'run')['meta']['epoch'] == 1
    assert 'lr' in json.dumps(scalars(tmp_path / 'run')[0]) and log_text(tmp_path / 'run')


@pytest.mark.slow
def test_two_processes_on_the_cpu(tmp_path):
    """``tools/dist_train.sh CONFIG 2``."""
    config = write_config(tmp_path, length=1, workers=0)
    command = [
        'bash',
        'tools/dist_train.sh',
        str(config),
        '2',
        '--work-dir',
        str(tmp_path / 'run'),
        '--plugin',
        str(TOY),
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert last(tmp_path / 'run')['meta']['epoch'] == 1
