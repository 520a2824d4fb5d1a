"""The site builds strictly: no broken link, every public module in the reference."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    pytest.importorskip('mkdocs')
    pytest.importorskip('mkdocstrings')
    run = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '--site-dir', str(tmp_path / 'site')],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    pages = {path.parent.name for path in (tmp_path / 'site/api').glob('*/index.html')}
    packages = {'.'.join(p.parent.relative_to(ROOT).parts) for p in (ROOT / 'mmreg').rglob('[!_]*.py')}
    assert {'mmreg.spatial', 'mmreg.io', 'mmreg.models.losses'} <= pages <= packages
    assert 'local_ncc' in (tmp_path / 'site/api/mmreg.spatial/index.html').read_text(encoding='utf-8')


def test_every_page_can_be_reached():
    """From the start page, by links."""
    docs = ROOT / 'docs'
    seen, todo = set(), [docs / 'index.md']
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        text = page.read_text(encoding='utf-8')
        todo += [
            (page.parent / link).resolve() for link in re.findall(r'\]\(([^)#:\s]+\.md)', text) if '://' not in link
        ]
        todo = [path for path in todo if path.is_relative_to(docs)]
    assert set(docs.rglob('*.md')) == seen
