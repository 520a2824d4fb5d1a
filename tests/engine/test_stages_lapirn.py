"""LapIRN trained in its published order, from its own configs: level by level, the coarser ones frozen at first."""

from pathlib import Path

import pytest
import torch

from mmreg.commands.train_stages import main

CONFIGS = Path(__file__).parents[2] / 'configs'
STAGE = """
_base_ = [{base!r}]
data = dict(_delete_=True, type='SyntheticShapes', size=(16, 16), count=2)
model = dict(ndim=2, flow_head=dict(channels=4, blocks=1))
train_dataloader = dict(num_workers=0, persistent_workers=False, pin_memory=False, dataset=data)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=data)
val_evaluator = [dict(type='JacobianMetric')]
train_cfg = dict(max_iters={length}, val_interval={length})
if {freeze}:
    custom_hooks = [dict(type='FreezeHook', modules=_base_.custom_hooks[0]['modules'], iterations={freeze})]
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=10, save_best=None))
"""


@pytest.mark.parametrize('family', ['lapirn_oasis', 'clapirn_oasis'])
def test_level_by_level(tmp_path, family):
    files = []
    for name, freeze in (('_level1', 0), ('_level2', 1), ('', 1)):
        file = tmp_path / f'stage{len(files)}.py'
        file.write_text(STAGE.format(base=str(CONFIGS / f'{family}{name}.py'), length=2, freeze=freeze))
        files.append(str(file))
    assert main([*files, '--work-dir', str(tmp_path / 'w'), '--debug', '--no-validate']) == 0

    def state(stage, iteration):
        path = tmp_path / 'w' / f'stage{stage}' / f'iter_{iteration}.pth'
        return torch.load(path, weights_only=False)['state_dict']

    def moved(before, after):
        changed = [key for key in before if not torch.equal(before[key], after[key])]
        return {int(key.split('.')[3]) for key in changed}

    assert moved(state(0, 1), state(0, 2)) == {2}
    assert moved(state(0, 2), state(1, 1)) == {1}, 'starts from the first stage; the coarsest level stands still'
    assert moved(state(1, 1), state(1, 2)) == {1, 2}
    assert moved(state(1, 2), state(2, 1)) == {0}
    assert moved(state(2, 1), state(2, 2)) == {0, 1, 2}
