"""The hyper-parameters of every config as a table (``recipes.csv``): a change that nobody meant is noticed.

What publications say of a recipe is held beside it. After a change that is meant, write the table anew and look at what
differs: ``python -m tests.test_recipes``.
"""

import csv
import io
from pathlib import Path

import pytest

from mmreg.utils.config import load_config

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name('recipes.csv')
COLUMNS = (
    'config', 'optimizer', 'learning_rate', 'weight_decay', 'schedule', 'length', 'batch', 'clip', 'losses', 'channels',
    'integration', 'augmentation', 'input', 'seed',
)  # fmt: skip
CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*.py') if load_config(path).get('train_cfg'))


@pytest.fixture(autouse=True)
def default_data_folder(monkeypatch):
    monkeypatch.delenv('MMREG_DATA', raising=False)


def recipe(path):
    """One row of the table."""
    cfg = load_config(path)
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
    'eoir_lumir': {'learning_rate': '0.0004', 'length': '201 epochs', 'channels': '32', 'batch': '1 x1'},
    'textscf_oasis': {'learning_rate': '0.0001', 'length': '501 epochs', 'optimizer': 'Adam amsgrad'},
    'transmorph_oasis': {'learning_rate': '0.0001', 'length': '500 epochs'},
    'transmorph_ixi': {'learning_rate': '0.0001', 'length': '500 epochs'},
    'lapirn_oasis_disp': {'learning_rate': '0.0001'},
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_table_says_what_is_published(name):
    row = table()[name]
    assert {key: row[key] for key in PUBLISHED[name]} == PUBLISHED[name]


def test_weights_of_eoir_on_lumir():
    losses = table()['eoir_lumir']['losses']
    assert 'similarity LNCC(' in losses and 'weight=1, window=9' in losses
    assert 'smoothness Diffusion(' in losses and 'penalty=l2, weight=5' in losses


def write():
    """Write the table anew."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(recipe(path) for path in CONFIGS)
    TABLE.write_text(text.getvalue(), encoding='utf-8')


if __name__ == '__main__':
    write()
