"""docs/adding_a_network.md shows the files as they are, and they are all that the networks needed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs' / 'adding_a_network.md'
TEXT = PAGE.read_text('utf-8')
SHOWN = re.findall(r'```diff\n--- /dev/null\n\+\+\+ b/(\S+)\n@@ -0,0 \+1,(\d+) @@\n(.*?)```', TEXT, re.S)
NETWORKS = {'PoolingPyramid': 'backbones/pooling_pyramid.py', 'GaussianFlowHead': 'flow_heads/gaussian.py'}
#: Everything that the two networks brought: the parts shown in full and the loss that the page links.
PARTS = {**NETWORKS, 'GaussianKL': 'losses/gaussian_kl.py'}
OWN = [ROOT / 'mmreg' / 'models' / path for path in PARTS.values()]


@pytest.mark.parametrize(('path', 'count', 'body'), SHOWN, ids=[path for path, *_ in SHOWN])
def test_diffs_are_the_files_themselves(path, count, body):
    shown = body.splitlines()
    assert all(line.startswith('+') for line in shown) and int(count) == len(shown)
    file = (ROOT / path).read_text('utf-8').splitlines()
    assert [line[1:] for line in shown] == file, f'{PAGE.name} shows an old {path}'


def test_each_network_is_at_most_two_files_and_a_config():
    paths = [path for path, *_ in SHOWN]
    assert len(SHOWN) == TEXT.count('```diff') == 4
    assert sum(path.startswith('configs/') for path in paths) == 2
    assert sorted(path.removeprefix('mmreg/models/') for path in paths if path.startswith('mmreg/')) == sorted(
        NETWORKS.values()
    )


def naming(name, folder, pattern):
    """Files below ``folder`` in which the part is named, in whatever way."""
    return [p for p in (ROOT / folder).rglob(pattern) if re.search(rf'\b{name}\b', p.read_text('utf-8'))]


@pytest.mark.parametrize('name', PARTS)
def test_nothing_else_knows_the_part(name):
    """Registries find it: besides the networks' own files, only the converter of published weights names it."""
    found = naming(name, 'mmreg', '*.py')
    assert ROOT / 'mmreg' / 'models' / PARTS[name] in found
    assert all(path in OWN or path.parent.name == 'converters' for path in found)


@pytest.mark.parametrize('name', PARTS)
def test_the_page_names_every_table_that_knows_the_part(name):
    """Tests of its own and pages of methods apart, what had to be extended for a part is said on the page."""
    own = ('test_', '__init__')
    tables = [p for p in naming(name, 'tests', '*.py') if not p.name.startswith(own) and p.parent.name != 'runners']
    tables += [
        p for p in (ROOT / 'tests').rglob('test_*.py') if re.search(rf"^    '{name}': ", p.read_text('utf-8'), re.M)
    ]
    tables += [p for p in naming(name, 'docs', '*.md') if p.parent.name != 'methods' and p != PAGE]
    assert tables
    unnamed = sorted({str(path.relative_to(ROOT)) for path in tables if str(path.relative_to(ROOT)) not in TEXT})
    assert not unnamed, f'{name} had to be entered in {unnamed}, which {PAGE.name} does not say'


def test_links_of_the_page_lead_somewhere():
    links = re.findall(r'\]\(([^)#]+)\)', TEXT)
    assert links and all((PAGE.parent / link).is_file() for link in links)
