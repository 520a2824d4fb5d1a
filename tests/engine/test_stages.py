"""Stages in order: each starts from the one before, finished ones are passed over, interrupted ones go on."""

from pathlib import Path

import pytest
import torch

from mmreg.commands.train_stages import final_checkpoint, main
from mmreg.errors import ConfigError

DEMO = Path(__file__).parents[2] / 'configs' / 'spine_demo.py'
FIRST = """
_base_ = [{base!r}]
model = dict(backbone=dict(_delete_=True, type='StagedUNet', encoder=dict(out_channels=[2, 2, 2]),
                           decoder=dict(out_channels=[2]), remaining=dict(out_channels=[2])))
train_dataloader = dict(dataset=dict(size=(16, 16, 16), count=2))
val_dataloader = dict(dataset=dict(size=(16, 16, 16), count=1))
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2, by_epoch=False))
"""
SECOND = """
_base_ = ['first.py']
model = dict(losses=dict(orthonormality=dict(weight=0.1)))
train_cfg = dict(max_iters=1, val_interval=1)
"""


@pytest.fixture
def configs(tmp_path):
    (tmp_path / 'first.py').write_text(FIRST.format(base=str(DEMO)))
    (tmp_path / 'second.py').write_text(SECOND)
    return [str(tmp_path / 'first.py'), str(tmp_path / 'second.py')]


def test_two_stages_in_order(configs, tmp_path, capsys):
    work = tmp_path / 'work'
    assert main([*configs, '--work-dir', str(work), '--debug']) == 0
    first = torch.load(work / 'first' / 'iter_2.pth', weights_only=False)['state_dict']
    second = torch.load(work / 'second' / 'iter_1.pth', weights_only=False)['state_dict']
    # One step of Adam moves a weight by no more than its rate.
    assert all(float((first[key] - second[key]).abs().max()) <= 1.1e-3 for key in first)
    assert any(not torch.equal(first[key], second[key]) for key in first)
    capsys.readouterr()
    stamp = (work / 'second' / 'iter_1.pth').stat().st_mtime_ns
    assert main([*configs, '--work-dir', str(work)]) == 0
    assert capsys.readouterr().out.count('finished already') == 2
    assert (work / 'second' / 'iter_1.pth').stat().st_mtime_ns == stamp


def test_stages_need_different_names(configs):
    assert main([configs[0], configs[0]]) == 2


def test_name_of_the_last_checkpoint():
    hook = {'default_hooks': {'checkpoint': {'interval': 20}}}
    assert final_checkpoint({'train_cfg': {'max_epochs': 400}, **hook}) == 'epoch_400.pth'
    with pytest.raises(ConfigError, match='writes nothing'):
        final_checkpoint({'train_cfg': {'max_iters': 400}, **hook})
