"""Notebooks: without outputs, linked from their page, and, in the slow tests, they run from top to bottom."""

import ast
import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / 'docs' / 'notebooks'
NOTEBOOKS = sorted(FOLDER.glob('*.ipynb'))
PAGE = FOLDER.parent / 'notebooks.md'


def test_all_are_on_the_page():
    assert len(NOTEBOOKS) >= 3
    linked = set(re.findall(r'\(notebooks/(\w+\.ipynb)\)', PAGE.read_text('utf-8')))
    assert linked == {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_but_sources_is_kept(path):
    content = json.loads(path.read_text('utf-8'))
    assert (content['nbformat'], content['nbformat_minor']) == (4, 5)
    assert set(content['metadata']) == {'kernelspec', 'language_info'}
    cells = content['cells']
    assert len({cell['id'] for cell in cells}) == len(cells) and cells[0]['cell_type'] == 'markdown'
    assert ''.join(cells[0]['source']).startswith('# ')
    for cell in cells:
        assert cell['metadata'] == {}
        if cell['cell_type'] == 'code':
            assert cell['outputs'] == [] and cell['execution_count'] is None
            ast.parse(''.join(cell['source']))


@pytest.mark.slow
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_they_run(path, tmp_path):
    """In a kernel of their own, in an empty folder; their last cells assert what they show."""
    nbformat = pytest.importorskip('nbformat')
    client = pytest.importorskip('nbclient')
    pytest.importorskip('ipykernel')
    notebook = nbformat.read(path, as_version=4)
    client.NotebookClient(notebook, timeout=600, resources={'metadata': {'path': str(tmp_path)}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert all(cell.execution_count for cell in cells)
    assert any(output.output_type == 'stream' for cell in cells for output in cell.outputs)
