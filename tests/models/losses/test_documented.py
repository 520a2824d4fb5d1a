"""Every registered loss stands in the table of docs/losses.md, and nothing else does."""

import re
from pathlib import Path

import mmreg.models.losses  # noqa: F401
from mmreg.registry import LOSSES

PAGE = Path(__file__).parents[3] / 'docs' / 'losses.md'


def test_table_lists_every_loss():
    listed = re.findall(r'^\| `(\w+)` \|', PAGE.read_text(), flags=re.MULTILINE)
    own = {name for name, cls in LOSSES.module_dict.items() if cls.__module__.startswith('mmreg.')}
    assert len(listed) == len(set(listed))
    assert set(listed) == own
