"""Starting toy runs and looking at what they left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmreg.cli import main
from mmreg.utils.checkpoint import read_checkpoint

TOY = str(Path(__file__).parent / 'toy.py')
ROOT = Path(__file__).parents[2]


@pytest.fixture
def train():
    """``train(config, work_dir, *options)`` in this process; returns the exit code."""

    def start(config, work_dir, *options):
        return main(['train', str(config), '--work-dir', str(work_dir), '--plugin', TOY, *map(str, options)])

    return start


@pytest.fixture
def spawn():
    """The same in a process of its own; returns the Popen object."""
    started = []

    def start(config, work_dir, *options, command=(sys.executable, '-m', 'mmreg.cli', 'train'), **env):
        argv = [*command, str(config), '--work-dir', str(work_dir), '--plugin', TOY, *map(str, options)]
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', **{k: str(v) for k, v in env.items()}}
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        if not process.stdout.closed:
            process.communicate()


def last(work_dir):
    """Content of the checkpoint that ``last_checkpoint`` names."""
    return read_checkpoint(Path(work_dir, 'last_checkpoint').read_text(encoding='utf-8'))


def assert_same(first, second):
    """Weights and optimizer of two checkpoints, bit for bit."""
    assert first['meta']['iter'] == second['meta']['iter'] and first['meta']['epoch'] == second['meta']['epoch']
    assert_equal(first['state_dict'], second['state_dict'])
    assert_equal(first['optimizer'], second['optimizer'])
    assert_equal(first['param_schedulers'], second['param_schedulers'])


def assert_equal(first, second):
    """Nested dicts, lists and tensors, exactly."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_equal(first[key], second[key])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for a, b in zip(first, second):
            assert_equal(a, b)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


def scalars(work_dir):
    """Logged lines of all runs in a work dir, in order."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text(encoding='utf-8').splitlines()]


def log_text(work_dir):
    """All log files of a work dir."""
    return '\n'.join(file.read_text(encoding='utf-8') for file in sorted(Path(work_dir).glob('*/*.log')))
