"""Pages keep up: every part has its row or its place, every page is linked, every link leads somewhere."""

import re
from pathlib import Path

import pytest

from mmreg.plugins import register_all_modules
from mmreg.registry import DATASETS, METRICS, PUBLIC, TRANSFORMS

register_all_modules()
ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(DOCS.rglob('*.md'))]
TEXT = '\n'.join(page.read_text('utf-8') for page in PAGES)


def own(registry):
    return {name for name, part in registry.module_dict.items() if part.__module__.startswith('mmreg.')}


def first_words(page):
    """What the rows of a page's tables begin with, as code."""
    return re.findall(r'^\| `(\w+)`', (DOCS / page).read_text('utf-8'), re.M)


def test_every_data_set_has_a_row():
    types = re.findall(r'^\|[^|]*\| `(\w+)` \|', (DOCS / 'datasets.md').read_text('utf-8'), re.M)
    assert types[0] == 'type'  # the head of the table
    assert len(types) == len(set(types)) and set(types[1:]) == own(DATASETS)


def test_every_transform_has_a_row():
    named = [name for name in first_words('datasets.md') if name in TRANSFORMS.module_dict]
    assert len(named) == len(set(named)) and set(named) == own(TRANSFORMS)


def test_every_metric_has_a_row():
    named = [name for name in first_words('metrics.md') if name in METRICS.module_dict]
    assert len(named) == len(set(named)) and set(named) == own(METRICS)


def test_every_base_of_a_data_set_is_named():
    text = (DOCS / 'datasets.md').read_text('utf-8')
    bases = {f'_base_/datasets/{path.name}' for path in (ROOT / 'configs' / '_base_' / 'datasets').glob('*.py')}
    assert bases and not {base for base in bases if f'`{base}`' not in text}


@pytest.mark.parametrize('kind', PUBLIC)
def test_every_part_stands_on_some_page(kind):
    missing = sorted(name for name in own(PUBLIC[kind]) if not re.search(rf'\b{name}\b', TEXT))
    assert not missing, f'no page names the {kind} {missing}'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r'\]\(([^)#\s]+)(?:#[^)]*)?\)', page.read_text('utf-8'))
    missing = [link for link in links if '://' not in link and not (page.parent / link).exists()]
    assert not missing, f'{page.name} links {missing}'


def test_every_page_is_linked():
    linked = set()
    for page in PAGES:
        for link in re.findall(r'\]\(([^)#\s]+\.md)(?:#[^)]*)?\)', page.read_text('utf-8')):
            if '://' not in link:
                linked.add((page.parent / link).resolve())
    lonely = [str(page.relative_to(ROOT)) for page in PAGES if page.parent != ROOT and page.resolve() not in linked]
    assert not lonely


IMPORTS = sorted(
    {
        line.strip()
        for page in [*PAGES, *sorted((ROOT / 'projects').rglob('*.md'))]
        for block in re.findall(r'```(?:python|py)\n(.*?)```', page.read_text('utf-8'), re.S)
        for line in block.splitlines()
        if re.match(r'(from mmreg[\w.]* import [\w, ]+|import mmreg[\w.]*)$', line.split('  #')[0].strip())
    }
)


@pytest.mark.parametrize('line', IMPORTS)
def test_what_pages_import_is_there(line):
    exec(line, {})
