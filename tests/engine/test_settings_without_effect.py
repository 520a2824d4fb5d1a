"""Nested settings that nothing reads: refused before anything is built, on the command line and in files."""

import pytest

from tests.engine.toy import write_config

CASES = {
    'env_cfg = dict(cudnn_benchmrk=True)': 'env_cfg.cudnn_benchmrk has no effect, did you mean cudnn_benchmark?',
    "env_cfg = dict(mp_cfg=dict(start='fork'))": 'env_cfg.mp_cfg.start has no effect',
    'randomness.update(sed=4)': 'randomness.sed has no effect, did you mean seed?',
    'auto_scale_lr.update(enabled=True)': 'auto_scale_lr.enabled has no effect, did you mean enable?',
    'optim_wrapper.update(paramwise_cfg=dict(norm_decay=0))': 'optim_wrapper.paramwise_cfg.norm_decay has no effect',
    "optim_wrapper.update(paramwise_cfg=dict(custom_keys={'head': dict(lr_mul=0.1)}))": (
        'optim_wrapper.paramwise_cfg.custom_keys.head.lr_mul has no effect, did you mean lr_mult?'
    ),
    "optim_wrapper.update(paramwise_cfg=dict(custom_keys={'hed': dict(lr_mult=0.1)}))": "custom_keys has 'hed'",
    'train_cfg.update(max_epoch=2)': 'max_epoch',
    'train_dataloader.update(batchsize=3)': 'batchsize',
    "train_dataloader['sampler'].update(shufle=False)": 'shufle',
    'optim_wrapper.update(clip=dict(max_norm=1))': 'clip',
    "optim_wrapper['optimizer'].update(learning_rate=1)": 'learning_rate',
    'default_hooks.update(chekpoint=dict(interval=5))': 'chekpoint',
    "default_hooks['checkpoint'].update(intervall=5)": 'intervall',
    'log_processor.update(windw_size=5)': 'windw_size',
    'model.update(chanels=3)': 'chanels',
}


@pytest.mark.parametrize('line', CASES)
def test_files(tmp_path, train, line, capfd):
    assert train(write_config(tmp_path, length=1, extra=f'{line}\n'), tmp_path / 'run') == 2
    log = capfd.readouterr()
    assert CASES[line] in log.err and 'Traceback' not in log.err
    assert len([text for text in log.err.splitlines() if text.strip()]) == 1
    assert not list((tmp_path / 'run').glob('*.pth'))


@pytest.mark.parametrize(
    'option',
    ['env_cfg.cudnn_benchmrk=True', 'randomness.sed=4', 'auto_scale_lr.enabled=True', 'train_cfg.max_epoch=2'],
)
def test_options(tmp_path, train, option, capfd):
    assert train(write_config(tmp_path, length=1), tmp_path / 'run', '--cfg-options', option) == 2
    assert option.partition('=')[0].rpartition('.')[2] in capfd.readouterr().err
