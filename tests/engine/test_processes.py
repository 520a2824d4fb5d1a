"""Two processes equal one with twice the batch."""

import socket
import sys

import pytest
import torch

from tests.engine.conftest import last, scalars
from tests.engine.toy import write_config
from tests.networks import INTERFACE, two_networks

EOIR = """
_base_ = ['{base}']
model = dict(
    _delete_=True,
    type='Registrar',
    ndim=2,
    backbone=dict(type='ResizePyramid', encoder=dict(type='EOIREncoder', channels=4)),
    flow_head=dict(type='CoarseToFineHead'),
    integrator=dict(type='ScalingSquaring'),
    losses=dict(
        similarity=dict(type='LNCC', window=5, levels=[1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]),
        smoothness=dict(type='Diffusion', on='velocity', weight=5.0, levels=[1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]),
    ),
)
val_cfg = val_dataloader = val_evaluator = None
"""


def _with_eoir(config):
    """The same run with EOIR in the place of the toy network, without validation."""
    path = config.with_name('eoir.py')
    path.write_text(EOIR.format(base=config.name))
    return path


def _free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _configs(folder, network):
    """The same run for one process, and for two with half the batch each."""
    one = write_config(folder / 'one', length=2, batch=2, dropout=0.0)
    two = write_config(folder / 'two', length=2, batch=1, dropout=0.0)
    return (_with_eoir(one), _with_eoir(two)) if network == 'eoir' else (one, two)


@pytest.mark.parametrize('network', ['toy', pytest.param('eoir', marks=pytest.mark.slow)])
def test_two_gloo_processes_equal_twice_the_batch(tmp_path, train, spawn, network):
    one, two = _configs(tmp_path, network)
    launcher = (sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', f'--master_port={_free_port()}')
    process = spawn(two, tmp_path / 'w2', '--launcher', 'pytorch', command=(*launcher, 'tools/train.py'))
    assert train(one, tmp_path / 'w1') == 0
    _ended(process)
    _assert_equal_runs(tmp_path, network)


@pytest.mark.slow
@pytest.mark.parametrize('network', ['toy', 'eoir'])
def test_two_networks_equal_twice_the_batch(tmp_path, train, spawn, network):
    """Two machines, as far as their networks go: each sees the other through one interface only."""
    one, two = _configs(tmp_path, network)
    with two_networks() as places:
        words = ['--nnodes=2', '--nproc_per_node=1', f'--master_addr={places[0].address}', '--master_port=29571']
        processes = []
        for rank, place in enumerate(places):
            launcher = (*place.words, sys.executable, '-m', 'torch.distributed.run', *words, f'--node_rank={rank}')
            command = (*launcher, 'tools/train.py')
            options = ('--launcher', 'pytorch')
            processes.append(spawn(two, tmp_path / 'w2', *options, command=command, GLOO_SOCKET_IFNAME=INTERFACE))
        assert train(one, tmp_path / 'w1') == 0
        for process in processes:
            _ended(process)
    _assert_equal_runs(tmp_path, network)


def _ended(process):
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output[-3000:]


def _assert_equal_runs(tmp_path, network):
    single, double = (
        {(line['epoch'], line['iter']): line['loss'] for line in scalars(tmp_path / w) if 'loss' in line}
        for w in ('w1', 'w2')
    )
    assert single.keys() == double.keys() and len(single) == 6
    for step, loss in single.items():
        assert abs(loss - double[step]) < 1e-5
    if network == 'eoir':  # its norms remove the biases before them, whose gradient is rounding that Adam makes large
        return
    first, second = last(tmp_path / 'w1')['state_dict'], last(tmp_path / 'w2')['state_dict']
    for key, value in first.items():
        torch.testing.assert_close(value, second[key], rtol=0, atol=1e-5)
    errors = [[line['toy/error'] for line in scalars(tmp_path / w) if 'toy/error' in line] for w in ('w1', 'w2')]
    torch.testing.assert_close(torch.tensor(errors[0]), torch.tensor(errors[1]), rtol=0, atol=1e-5)
