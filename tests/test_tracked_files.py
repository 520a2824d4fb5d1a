"""What the repository may hold: sources and small data, no downloads, no builds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Bytes of one file: the largest that belongs here are golden numbers of 1.4 MB.
LARGEST = 2_000_000
#: Bytes of all golden numbers together.
GOLDEN = 6_000_000


def _tracked() -> list[Path]:
    if not (ROOT / '.git').exists():
        pytest.skip('not a checkout: which files are tracked is not known')
    listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split('\0') if name and (ROOT / name).is_file()]


def test_no_file_is_large():
    assert not {p.relative_to(ROOT): p.stat().st_size for p in _tracked() if p.stat().st_size > LARGEST}


def test_golden_numbers_are_few():
    golden = ROOT / 'tests' / 'golden'
    assert sum(p.stat().st_size for p in _tracked() if golden in p.parents) < GOLDEN


def test_no_logs_archives_or_builds():
    forbidden = {'.log', '.whl', '.pth', '.so', '.pyc', '.tar', '.zip', '.nii'}
    assert not [p.relative_to(ROOT) for p in _tracked() if p.suffix in forbidden]
