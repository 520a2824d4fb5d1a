"""The hyper-parameters of every config as a table (``recipes.csv``): a change that nobody meant is noticed.

What publications say of a recipe is held beside it. After a change that is meant, write the table anew and look at what
differs: ``python -m tests.test_recipes``.
"""

import csv
import io
from pathlib import Path

import pytest

from tests import configs

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name('recipes.csv')
COLUMNS = (
    'config', 'optimizer', 'learning_rate', 'weight_decay', 'schedule', 'length', 'batch', 'clip', 'losses', 'channels',
    'integration', 'augmentation', 'input', 'seed',
)  # fmt: skip
CONFIGS = [path for path in configs.ALL if configs.look(path).get('train_cfg')]


@pytest.fixture(autouse=True)
def default_data_folder(monkeypatch):
    monkeypatch.delenv('MMREG_DATA', raising=False)


def recipe(path):
    """One row of the table."""
    cfg = configs.look(path)
    model, wrapper, loop = cfg.model, cfg.get('optim_wrapper') or {}, cfg.train_cfg
    optimizer, loader = wrapper.get('optimizer') or {}, cfg.get('train_dataloader') or {}
    dataset = loader.get('dataset') or {}
    while 'type' in dataset and 'pipeline' not in dataset and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    steps = [_named(t) for t in dataset.get('pipeline') or () if t['type'] != 'PackRegInputs']
    prepared = [_named(t) for t in dataset.get('preprocess') or ()]
    row = {
        'config': path.stem,
        'optimizer': optimizer.get('type', '') + (' amsgrad' if optimizer.get('amsgrad') else ''),
        'learning_rate': optimizer.get('lr', ''),
        'weight_decay': optimizer.get('weight_decay', ''),
        'schedule': '; '.join(_named(s) for s in cfg.get('param_scheduler') or ()),
        'length': f'{loop["max_epochs"]} epochs' if loop.get('max_epochs') else f'{loop.get("max_iters")} iterations',
        'batch': f'{loader.get("batch_size", "")} x{wrapper.get("accumulative_counts", 1)}',
        'clip': _plain(wrapper.get('clip_grad') or ''),
        'losses': '; '.join(f'{name} {_named(term)}' for name, term in sorted((model.get('losses') or {}).items())),
        'channels': ' '.join(str(v) for v in _found(model, ('channels', 'start_channels', 'embed_dim'))),
        'integration': _named(model['integrator']) if model.get('integrator') else '',
        'augmentation': '; '.join(steps),
        'input': '; '.join(prepared),
        'seed': (cfg.get('randomness') or {}).get('seed', ''),
    }
    return {key: str(value) for key, value in row.items()}


def _named(part):
    return f'{part["type"]}({", ".join(f"{k}={_plain(v)}" for k, v in sorted(part.items()) if k != "type")})'


def _plain(value):
    if isinstance(value, dict):
        return '{' + ', '.join(f'{k}: {_plain(v)}' for k, v in sorted(value.items())) + '}'
    if isinstance(value, list | tuple):
        return '[' + ' '.join(_plain(v) for v in value) + ']'
    return f'{value:.6g}' if isinstance(value, float) else str(value).replace(f'{ROOT}/', '')


def _found(node, names):
    """Values under these names anywhere in a config, in order."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key in names:
            yield _plain(value)
        elif isinstance(value, dict | list):
            yield from _found(value, names)


def table():
    with TABLE.open(encoding='utf-8', newline='') as file:
        return {row['config']: row for row in csv.DictReader(file)}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_recipe_is_that_of_the_table(path):
    if path.stem not in table():
        pytest.skip('a new config; write the table anew to hold it')
    assert table()[path.stem] == recipe(path)


def test_the_table_has_no_rows_of_configs_that_are_gone():
    assert set(table()) <= {path.stem for path in CONFIGS}


#: What the publications say, in their own words: config -> column -> value.
PUBLISHED = {
    'eoir_lumir': {
        'optimizer': 'Adam amsgrad', 'learning_rate': '0.0004', 'weight_decay': '0', 'length': '201 epochs',
        'schedule': 'PolynomialRounded(by_epoch=True, power=0.9)', 'channels': '32', 'batch': '1 x1', 'seed': '0',
    },
    **dict.fromkeys(
        ('eoir_abdomenctct', 'eoir_oasis'),
        {'learning_rate': '0.0001', 'length': '301 epochs', 'channels': '32', 'optimizer': 'Adam amsgrad'},
    ),
    'eoir_acdc': {
        'learning_rate': '0.0001', 'length': '301 epochs', 'augmentation': 'RandomFlip(axes=[0 1], prob=0.5)',
    },
    'textscf_oasis': {
        'learning_rate': '0.0001', 'length': '501 epochs', 'optimizer': 'Adam amsgrad', 'weight_decay': '0',
        'batch': '1 x1', 'channels': '64', 'augmentation': '', 'seed': '0',
    },
    'gradirn_ukbb': {'optimizer': 'Adam', 'learning_rate': '0.0001', 'weight_decay': '0', 'batch': '10 x1'},
    'gradirn_camcan': {'learning_rate': '0.0001', 'length': '500 epochs', 'batch': '4 x1', 'schedule': ''},
    'spine_mind': {
        'optimizer': 'Adam', 'learning_rate': '0.0001', 'schedule': 'ExponentialLR(by_epoch=True, gamma=0.999)',
        'length': '400 epochs', 'batch': '1 x1', 'seed': '2023',
    },
    'transmorph_oasis': {'learning_rate': '0.0001', 'length': '500 epochs', 'optimizer': 'Adam amsgrad'},
    'transmorph_ixi': {
        'learning_rate': '0.0001', 'length': '500 epochs', 'optimizer': 'Adam amsgrad',
        'augmentation': 'RandomFlip(axes=[0 1 2], prob=0.5)',
    },
    'transmorph_lumir': {'optimizer': 'AdamW amsgrad', 'learning_rate': '0.0001', 'weight_decay': '0'},
    'voxelmorph_lumir': {'optimizer': 'AdamW amsgrad', 'learning_rate': '0.0001', 'weight_decay': '0'},
    'voxelmorph_oasis': {'learning_rate': '0.0001', 'length': '150000 iterations', 'optimizer': 'Adam'},
    'lkunet_ixi': {'learning_rate': '0.0001', 'length': '1000 epochs', 'schedule': '', 'channels': '8'},
    'lkunet_oasis': {'learning_rate': '0.0001', 'length': '309685 iterations', 'schedule': '', 'channels': '32'},
    'lkunet_oasis_half': {'length': '464528 iterations'},
    'lapirn_oasis_disp': {'learning_rate': '0.0001', 'length': '60001 iterations', 'channels': '28', 'schedule': ''},
    'lapirn_oasis_disp_level1': {'length': '30001 iterations'},
    'lapirn_oasis_disp_level2': {'length': '30001 iterations'},
    'clapirn_oasis': {'learning_rate': '0.0001', 'length': '60001 iterations', 'channels': '16'},
    'symnet_oasis': {'learning_rate': '0.0001', 'length': '150001 iterations', 'channels': '7'},
    'c2fvit_oasis': {'learning_rate': '0.0001', 'length': '160001 iterations', 'channels': '256'},
    'sitreg_lumir': {'learning_rate': '0.0004', 'length': '15000 iterations'},
    'sitreg_lumir_finetune': {'learning_rate': '0.0001', 'length': '7500 iterations', 'batch': '3 x1'},
    'unigradicon_lumir': {'optimizer': 'Adam', 'learning_rate': '5e-05', 'batch': '4 x1'},
    'pyramid_dwp_lumir': {
        'optimizer': 'Adam amsgrad', 'learning_rate': '0.0001', 'length': '25000 iterations', 'seed': '2023',
        'schedule': 'StepLR(by_epoch=False, gamma=0.996, step_size=250)',
        'augmentation': 'RandomFlip(axes=[0], prob=0.5)',
    },
    'pyramid_dwp_nlst': {'length': '200 epochs', 'augmentation': 'RandomFlip(axes=[0], prob=0.5)', 'seed': '2023'},
}  # fmt: skip

#: Terms of the objectives: config -> what its column of losses holds, each at the weight that the publication means.
TERMS = {
    'eoir_lumir': ('similarity LNCC(levels=[1 0.5 0.25 0.125 0.0625], weight=1, window=9)', 'penalty=l2, weight=5)'),
    'eoir_abdomenctct': ('overlap Dice(', 'per_level={window: [9 5 3 3 3]}, weight=1)', 'penalty=l1, weight=1)'),
    'eoir_oasis': ('overlap Dice(', 'per_level={window: [9 5 3 3]}, weight=1)', 'penalty=l1, weight=1)'),
    'eoir_acdc': ('similarity MSE(', 'penalty=l1, weight=0.01)'),
    'textscf_oasis': ('overlap Dice(absent=zero, squared=True, weight=1)', 'similarity MSE(weight=1)', 'weight=0.1)'),
    'gradirn_ukbb': ('similarity MSE(weight=1)', 'regularity Diffusion(on=velocity, reduction=energy, weight=0.01)'),
    # Published as a sum over both directions, and with a multiplier of 2.
    'spine_mind': ('MINDSSC(dilation=2, direction=both, penalty=l2, radius=2, weight=2)', 'penalty=l2, weight=0.02)'),
    'spine_mind_rigid': ('orthonormality OrthonormalityCondition(border=zeros, on=displacement, weight=0.005)',
                         'properness PropernessCondition(border=zeros, on=displacement, weight=0.01)',
                         'step_size=10, weight=0.1)', 'RigidField(num_samples=256, on=displacement, weight=0.01)'),
    'transmorph_oasis': ('overlap Dice(absent=zero, squared=True, weight=1)', 'window=9)', 'penalty=l2, weight=1)'),
    'transmorph_diff_ixi': ('similarity MSE(weight=10000)', 'divergence GaussianKL(on=mean, precision=10, weight=1)'),
    'voxelmorph_oasis': ('similarity MSE(weight=1)', 'penalty=l2, weight=0.02)'),  # 0.01, times int_downsize
    'lkunet_ixi': ('window=9)', 'unit=lku, weight=5)'),
    'lkunet_oasis': ('overlap Dice(', 'similarity MSE(weight=1)', 'unit=lku, weight=0.01)'),
    # Published for twice the displacement, squared: 3.5 and 1 times 4.
    'lapirn_oasis': ('windows=[7 5 3]', 'on=velocity, penalty=l2, weight=14)'),
    'lapirn_oasis_disp': ('windows=[7 5 3]', 'on=velocity, penalty=l2, weight=4)'),
    'symnet_oasis': ('magnitude MagnitudeBalance(on=half, weight=0.1)', 'weight=100)', 'window=5)', 'weight=3)'),
    'c2fvit_oasis_semi': ('overlap Dice(absent=zero, weight=0.5)', 'windows=[7 5 3]'),
    # The mean of both directions of 1 times the penalty.
    'sitreg_lumir': ('window=11)', 'inverse_smoothness Diffusion(on=inverse_displacement, penalty=l2, weight=0.5)'),
    'unigradicon_lumir': ('consistency GradICON(', 'weight=1.5)', 'sigma=5'),
    'pyramid_dwp_lumir': ('direction=both', 'window=9)', 'on=displacement, penalty=l2, weight=0.5)'),
    'pyramid_dwcpi_acdc': ('similarity MSE(', 'weight=0.025)'),
}  # fmt: skip


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_table_says_what_is_published(name):
    row = table()[name]
    assert {key: row[key] for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize('name', TERMS)
def test_objectives_are_the_published_ones(name):
    losses = table()[name]['losses']
    assert [term for term in TERMS[name] if term not in losses] == []


def write():
    """Write the table anew."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(recipe(path) for path in CONFIGS)
    TABLE.write_text(text.getvalue(), encoding='utf-8')


if __name__ == '__main__':
    write()
