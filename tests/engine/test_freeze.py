"""Modules that stand still at first: for how long, after a resume, and what is refused."""

import pytest
import torch

from mmreg.engine.hooks import FreezeHook
from mmreg.errors import ConfigError
from tests.engine.conftest import assert_same, last
from tests.engine.toy import write_config

HOOKS = "custom_hooks = [dict(type='FreezeHook', modules=['backbone'], iterations={iterations})]\n"
KEEP = ('--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=10')


def config(path, length, iterations, interval=1):
    path.mkdir(exist_ok=True)
    return write_config(path, loop='iter', length=length, interval=interval, extra=HOOKS.format(iterations=iterations))


def weights(folder, iteration):
    return torch.load(folder / f'iter_{iteration}.pth', weights_only=False)['state_dict']


@pytest.mark.parametrize('iterations', [2, -1])
def test_it_stands_still_while_the_rest_trains(tmp_path, train, iterations):
    work = tmp_path / 'w'
    assert train(config(tmp_path / 'c', 4, iterations), work, '--no-validate', *KEEP) == 0
    states = [weights(work, k) for k in (1, 2, 3, 4)]
    moved = [not torch.equal(a['backbone.weight'], b['backbone.weight']) for a, b in zip(states, states[1:])]
    assert moved == ([False, True, True] if iterations == 2 else [False] * 3)
    assert all(not torch.equal(a['head.2.weight'], b['head.2.weight']) for a, b in zip(states, states[1:]))


def test_a_resumed_run_goes_on_as_it_would_have(tmp_path, train):
    file = config(tmp_path / 'c', 6, 4)
    assert train(file, tmp_path / 'whole', '--no-validate', *KEEP) == 0
    assert train(file, tmp_path / 'rest', '--no-validate', *KEEP, '--resume', tmp_path / 'whole/iter_2.pth') == 0
    assert_same(last(tmp_path / 'whole'), last(tmp_path / 'rest'))


def test_unknown_modules_are_refused(tmp_path, train, capsys):
    extra = "custom_hooks = [dict(type='FreezeHook', modules=['spine'])]\n"
    assert train(write_config(tmp_path, length=1, extra=extra), tmp_path / 'w') == 2
    assert "['spine']" in capsys.readouterr().err
    with pytest.raises(ConfigError, match='empty'):
        FreezeHook([])
