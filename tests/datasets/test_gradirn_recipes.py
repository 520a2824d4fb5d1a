"""The GraDIRN configs train and test on folders with the layouts they expect."""

import json
from pathlib import Path

import pytest

from mmreg.commands import test as test_cli
from mmreg.commands import train as train_cli

from .test_cine_and_camcan import brains, cine_folder

CONFIGS = Path(__file__).parents[2] / 'configs'
MMS = ('ED_img', 'ES_img', 'ED_seg', 'ES_seg')
SMALL = {
    'cine': "[dict(type='CropAroundLabels', size=(16, 16, None))]",
    'brain': "[dict(type='LoadVolumes'), dict(type='Resample', size=(16, 16, 16))]",
}


def layout(name, root):
    if name == 'camcan':
        brains(root, count=3)
        for split in ('val', 'test'):
            (root / split).symlink_to(root / 'train')
        return
    for split in ('train', 'val', 'test'):
        cine_folder(root, split, subjects=2, **({'names': MMS} if name.startswith('mms') else {}))


@pytest.mark.slow
@pytest.mark.parametrize('name, network', [('ukbb', ''), ('mms_trained', '_unet'), ('camcan', '')])
def test_recipe_runs(name, network, tmp_path):
    layout(name, tmp_path / 'data')
    key, value = ('preprocess', SMALL['brain']) if name == 'camcan' else ('stack', SMALL['cine'])
    loaders = ''.join(
        f'{loader}_dataloader = dict(num_workers=0, persistent_workers=False, '
        f'dataset=dict(data_root={str(tmp_path / "data")!r}, cache=None, {key}={value}))\n'
        for loader in ('train', 'val', 'test')
    )
    config = str(tmp_path / 'small.py')
    base = CONFIGS / f'gradirn_{name}{network}.py'
    Path(config).write_text(f'_base_ = [{str(base)!r}]\n{loaders}')
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1']
    options += ['train_dataloader.batch_size=2', *([] if network else ['model.flow_head.channels=4'])]
    work = tmp_path / 'work'
    assert train_cli.main([config, '--work-dir', str(work), '--cfg-options', *options]) == 0
    argv = [config, str(work / 'epoch_1.pth'), '--work-dir', str(tmp_path / 't'), '--out', str(tmp_path / 'out')]
    assert test_cli.main([*argv, '--cfg-options', *options]) == 0
    metrics = json.loads((tmp_path / 'out' / 'summary.json').read_text(encoding='utf-8'))['metrics']
    assert {'reg/dice', 'reg/hausdorff', 'reg/mcd', 'reg/sdlogj', 'reg/mse'} <= set(metrics)
    if name != 'camcan':  # one row per volume, not per slice
        rows = (tmp_path / 'out' / 'contour_per_volume.csv').read_text(encoding='utf-8').splitlines()[1:]
        assert {row.split(',')[0] for row in rows} == {'subject0', 'subject1'}
