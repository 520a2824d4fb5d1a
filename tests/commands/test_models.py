"""`mmreg models`: cards of the shipped configs, their parameters, and cards that are none."""

import json
import subprocess
import sys

import pytest
import torch

from mmreg.cli import main
from mmreg.errors import ConfigError
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder
from mmreg.zoo.cards import find_cards
from mmreg.zoo.counts import FILE, count_parameters, counts, digest, known_count

CARD = "__card__ = dict(method='Mine', paper='Nowhere 2026', page='methods/mine')\n"
MODEL = """
model = dict(
    type='Registrar', ndim=2, backbone=dict(type='UNet', features=[[2], [2, 2]]),
    flow_head=dict(type='ConvFlowHead'),
)
"""


def write(folder, name='mine_oasis', card=CARD, model=MODEL):
    path = folder / f'{name}.py'
    path.write_text(card + model)
    return path


def test_every_shipped_card_belongs_to_a_config_and_a_page():
    found = list(find_cards())
    assert len(found) > 50 and len({card.config for card in found}) == len(found)
    assert [card.config for card in found] == sorted(card.config for card in found)
    docs = config_folder().parent / 'docs'
    for card in found:
        assert card.method and card.paper, card.config
        assert (docs / f'{card.page}.md').is_file(), card.config


def test_methods_of_the_issue_are_listed():
    methods = ' '.join({card.method for card in find_cards()})
    for name in ('EOIR', 'GraDIRN', 'TextSCF', 'VoxelMorph', 'LKU-Net', 'LapIRN', 'SYMNet', 'TransMorph', 'C2FViT',
                 'SITReg', 'GradICON', 'Pyramid designs'):  # fmt: skip
        assert name.lower() in methods.lower(), name


def test_cards_are_read_without_running_the_config(tmp_path):
    write(tmp_path, model='raise RuntimeError("executed")\n')
    (tmp_path / 'without.py').write_text(MODEL)
    found = list(find_cards(tmp_path))
    assert [(card.method, card.published, card.measured) for card in found] == [('Mine', '', '')]
    assert found[0].as_dict()['config'] == 'mine_oasis.py'


def test_a_card_is_not_inherited_and_not_part_of_the_config(tmp_path):
    write(tmp_path)
    (tmp_path / 'child.py').write_text("_base_ = ['mine_oasis.py']\n")
    assert [card.config.stem for card in find_cards(tmp_path)] == ['mine_oasis']
    assert not any('card' in key for key in load_config(tmp_path / 'child.py'))


@pytest.mark.parametrize(
    ('card', 'words'),
    [
        ("__card__ = dict(method='Mine', paper='x')\n", r"has the keys \['method', 'paper'\]"),
        ("__card__ = dict(method='Mine', paper='x', page='y', dice=1)\n", r"has the keys .*'dice'"),
        ("name = 'Mine'\n__card__ = dict(method=name, paper='x', page='y')\n", 'no dict.* of constants'),
        ("__card__ = ['Mine']\n", 'no dict.* of constants'),
    ],
)
def test_cards_that_are_none_are_refused_with_their_file(tmp_path, card, words):
    path = write(tmp_path, card=card)
    with pytest.raises(ConfigError, match=words) as refused:
        list(find_cards(tmp_path))
    assert str(path) in str(refused.value)


def test_parameters_are_those_that_training_changes(tmp_path):
    register_all_modules()
    path = write(tmp_path)
    built = REGISTRARS.build(load_config(path).model)
    assert count_parameters(path) == sum(p.numel() for p in built.parameters()) > 0
    assert not any(p.is_meta for p in built.parameters()) and torch.empty(0).device.type == 'cpu'


def test_list_of_one_method(capsys):
    assert main(['models', 'symnet']) == 0
    out = capsys.readouterr().out
    assert 'docs/methods/symnet.md' in out and 'symnet_oasis' in out and '862.35 k' in out
    assert 'voxelmorph' not in out.lower()
    assert 'not by this project' in out


def test_json_holds_the_same(capsys):
    assert main(['models', 'VoxelMorph_OASIS'.lower(), '--json']) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows and all('voxelmorph_oasis' in row['config'] for row in rows)
    assert rows[0]['parameters'] == 327331 and set(rows[0]) >= {'method', 'paper', 'page', 'published', 'measured'}


def test_a_name_that_is_not_there_names_the_methods(capsys):
    assert main(['models', 'nothing_like_it']) == 2
    error = capsys.readouterr().err
    assert "'nothing_like_it'" in error and 'expected one of' in error and 'SYMNet' in error


@pytest.mark.parametrize(('number', 'text'), [(999, '999'), (1000, '1.00 k'), (862351, '862.35 k'), (12e6, '12.00 M')])
def test_counts_are_short(number, text):
    from mmreg.commands.models import _count

    assert _count(int(number)) == text


def test_building_for_the_list_is_silent(capsys):
    register_all_modules()
    assert count_parameters(config_folder() / 'textscf_oasis_hash.py') > 1e8
    captured = capsys.readouterr()
    assert captured.out == '' and 'text embeddings' not in captured.err


def test_counts_are_those_of_the_shipped_configs():
    """Written by tools/make_metafile.py; which models are built here is drawn by their names, a few of all."""
    register_all_modules()
    configs = [card.config for card in find_cards()]
    written = json.loads(FILE.read_text(encoding='utf-8'))
    assert list(written) == [config.stem for config in configs], 'run python tools/make_metafile.py'
    stale = [config.stem for config in configs if written[config.stem]['digest'] != digest(config)]
    assert not stale, 'run python tools/make_metafile.py'
    for config in configs[::9]:
        assert count_parameters(config) == known_count(config), config.stem


def test_a_changed_config_is_counted_again(tmp_path):
    register_all_modules()
    path = write(tmp_path, name='eoir_lumir')
    assert known_count(path) is None
    (found,) = counts([path]).values()
    assert found['parameters'] == count_parameters(path)
    before = digest(path)
    write(tmp_path, name='eoir_lumir', card=CARD.replace('2026', '2027'))
    (tmp_path / 'child.py').write_text("_base_ = 'eoir_lumir.py'\n")
    digest.__globals__['_without_card'].cache_clear()
    assert digest(path) == before != digest(tmp_path / 'child.py')


def test_the_list_needs_no_torch():
    code = 'import sys; from mmreg.cli import main; main(["models"]); sys.exit("torch" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0 and 'symnet_oasis' in done.stdout, done.stderr
