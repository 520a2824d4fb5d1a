"""The metafile in the repository is the one that the configs and the zoo make."""

from pathlib import Path

import yaml

from mmreg.zoo.cards import find_cards
from mmreg.zoo.metafile import metafile
from mmreg.zoo.published import PUBLISHED

ROOT = Path(__file__).parents[2]


def test_metafile_is_up_to_date():
    text = (ROOT / 'metafile.yml').read_text(encoding='utf-8')
    assert text == metafile(), 'run python tools/make_metafile.py'
    assert yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8')) == {'Import': ['metafile.yml']}


def test_it_holds_every_card_and_every_entry():
    found = yaml.safe_load(metafile())
    collections = {collection['Name'] for collection in found['Collections']}
    names = [model['Name'] for model in found['Models']]
    assert len(names) == len(set(names))
    assert {card.config.stem for card in find_cards()} | {f'weights_{e.name}' for e in PUBLISHED} == set(names)
    for model in found['Models']:
        assert model['In Collection'] in collections and (ROOT / model['Config']).is_file()


def test_the_page_lists_every_entry():
    page = (ROOT / 'docs' / 'weights.md').read_text(encoding='utf-8')
    for entry in PUBLISHED:
        (row,) = [line for line in page.splitlines() if line.startswith(f'| `{entry.name}` |')]
        for cell in (entry.method, entry.trained_on, entry.needs.sentence(), entry.licence, entry.checked, entry.page):
            assert cell in row
