"""Every data set whose validation and test pairs come without labels, landmarks or masks: measured by what is there."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from mmreg.engine.data_check import check_evaluator
from mmreg.errors import ConfigError
from mmreg.plugins import register_all_modules
from mmreg.registry import DATASETS, METRICS
from mmreg.structures import RegSample
from mmreg.utils.config import load_config
from tests.made.layouts import make

CONFIGS = Path(__file__).parents[2] / 'configs'
#: Config -> folder of its data, and what is taken away below it.
CASES = {
    'eoir_lumir': ('LUMIR', ['SanityCheckLabelsTr/*']),
    'eoir_lumir25': ('LUMIR25', []),
    'eoir_abdomenctct': ('AbdomenCTCT', ['label/*']),
    'eoir_acdc': ('ACDC', ['*/*_seg.nii.gz']),
    'gradirn_acdc': ('ACDC', ['*/*/*_gt.nii.gz']),
    'gradirn_ukbb': ('UKBB', ['*/*/label_*']),
    'gradirn_mms_trained': ('MMs', ['*/*/*_seg.nii.gz']),
    'gradirn_camcan': ('CamCAN', ['*/*/*_tissues.nii.gz']),
    'pyramid_dwp_nlst': ('NLST', ['landmarksTr/*', 'keypointsTr/*', 'masksTr/*']),
    'spine_mind': ('SpineCTMR', ['*/*/mr_mask.nii.gz']),
}


@pytest.fixture(params=CASES, scope='module')
def cfg(request, tmp_path_factory):
    """A config on its data without labels."""
    register_all_modules()
    name, patterns = CASES[request.param]
    root = tmp_path_factory.mktemp('data')
    folder = make(root, name)
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMREG_DATA', str(root))
        yield load_config(CONFIGS / f'{request.param}.py')


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_what_can_be_measured_is(cfg, stage):
    dataset = DATASETS.build(dict(cfg[f'{stage}_dataloader'].dataset, cache=None))
    metrics = [METRICS.build(dict(metric)) for metric in cfg[f'{stage}_evaluator']]
    lacks = check_evaluator(DataLoader(dataset), metrics)
    assert lacks and all(lack.pairs == lack.total == len(dataset) for lack in lacks)
    sample = dataset[0]
    moving = sample['inputs']['moving']
    found = {}
    for metric in metrics:
        sample['data_samples'].pred = RegSample(
            displacement=torch.zeros(moving.dim() - 1, *moving.shape[1:]), warped=moving
        )
        metric.process({'inputs': {key: [value] for key, value in sample['inputs'].items()}}, [_carried(sample)])
        found |= metric.evaluate(1)
    assert {'reg/sdlogj', 'reg/folds_percent', 'reg/ndv_percent'} <= found.keys()
    assert {'reg/ncc', 'reg/nmi'} & found.keys()
    assert not {'reg/dice', 'reg/tre'} & found.keys()


def _carried(sample):
    """The data sample as the model hands it over: with what the inputs carry."""
    carried = sample['data_samples']
    carried.set_data(dict(sample['inputs'].items()))
    return carried.to_dict()


def test_who_insists_on_labels_is_told_before_the_first_step(cfg):
    if not any(metric['type'] == 'DiceMetric' for metric in cfg.val_evaluator):
        pytest.skip('measures no Dice of single pairs')
    dataset = DATASETS.build(dict(cfg.val_dataloader.dataset, cache=None))
    metric = METRICS.build(dict(type='DiceMetric', incomplete='error'))
    with pytest.raises(ConfigError, match='would stop the evaluation: dice: none of the'):
        check_evaluator(DataLoader(dataset), [metric])


def test_some_pairs_with_labels_are_measured(tmp_path, monkeypatch):
    """LUMIR's sanity-check scans: Dice of the pairs that have labels, similarity of all."""
    register_all_modules()
    monkeypatch.setenv('MMREG_DATA', str(tmp_path))
    make(tmp_path, 'LUMIR')
    cfg = load_config(CONFIGS / 'eoir_lumir.py')
    dataset = DATASETS.build(dict(cfg.val_dataloader.dataset))
    assert [dataset.get_data_info(k)['case_id'] for k in range(len(dataset))] == [''] * 5
    metrics = [METRICS.build(dict(metric)) for metric in cfg.val_evaluator]
    lacks = check_evaluator(DataLoader(dataset), metrics)
    assert [(lack.metric, lack.pairs, lack.total) for lack in lacks] == [('dice', 3, 5), ('dice_lumir', 3, 5)]
    assert 'dice: 3 of 5 pairs have no moving_labels and fixed_labels and are left out' in map(str, lacks)
    training = DATASETS.build(dict(cfg.train_dataloader.dataset))
    assert {source['id'] for source in training.sources} == {'0000', '0001', '0002'}, 'what validates does not train'
