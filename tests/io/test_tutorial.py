"""The snippets of the tutorial run, in order, as a reader would run them."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / 'docs/tutorials/files_and_transforms.md'


def test_snippets_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip('nibabel')
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(encoding='utf-8'), flags=re.DOTALL)
    assert len(blocks) >= 8
    names: dict = {'__name__': 'tutorial'}
    for number, block in enumerate(blocks):
        exec(compile(block, f'{PAGE.name} block {number}', 'exec'), names)  # noqa: S102
    printed = capsys.readouterr().out
    # what the page says is printed is printed
    for comment in re.findall(r'print\(error\)   # (.*)', '\n'.join(blocks)):
        assert comment in printed
