"""docs/adding_a_network.md shows the files as they are, and they are all that the networks needed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs' / 'adding_a_network.md'
TEXT = PAGE.read_text('utf-8')
SHOWN = re.findall(r'```diff\n--- /dev/null\n\+\+\+ b/(\S+)\n@@ -0,0 \+1,(\d+) @@\n(.*?)```', TEXT, re.S)
NETWORKS = {'PoolingPyramid': 'backbones/pooling_pyramid.py', 'GaussianFlowHead': 'flow_heads/gaussian.py'}


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


@pytest.mark.parametrize('name', NETWORKS)
def test_nothing_else_knows_the_part(name):
    """Registries find it: besides its own file, only the converter of published weights names it."""
    own = ROOT / 'mmreg' / 'models' / NETWORKS[name]
    naming = [path for path in (ROOT / 'mmreg').rglob('*.py') if re.search(rf'\b{name}\b', path.read_text('utf-8'))]
    assert own in naming
    assert all(path == own or path.parent.name == 'converters' for path in naming)


def test_links_of_the_page_lead_somewhere():
    links = re.findall(r'\]\(([^)#]+)\)', TEXT)
    assert links and all((PAGE.parent / link).is_file() for link in links)
