"""Families of published checkpoints as their sources tell them: read, not imported, so that a help text costs no torch.

``tests/commands/test_light_help.py`` holds what is found here to ``mmreg.converters.FAMILIES``.
"""

from __future__ import annotations

import ast
from pathlib import Path

_CONVERTERS = Path(__file__).resolve().parents[2] / 'converters'


def family_notes() -> dict[str, str]:
    """Name of each family -> what it converts, sorted by name."""
    calls = [call for path in _CONVERTERS.glob('*.py') if (call := _family(path)) is not None]
    return dict(sorted((_told(call, 'name', 0), _told(call, 'note', -1)) for call in calls))


def _family(path: Path) -> ast.Call | None:
    """What ``FAMILY`` of a module is made by."""
    text = path.read_text(encoding='utf-8')
    if '\nFAMILY = ' not in text:
        return None
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == 'FAMILY' for target in targets):
            return node.value if isinstance(node.value, ast.Call) else None  # type: ignore[attr-defined]
    return None


def _told(call: ast.Call, keyword: str, position: int) -> str:
    """A text that is given by name, or at that place."""
    value = next((word.value for word in call.keywords if word.arg == keyword), None)
    return str(ast.literal_eval(call.args[position] if value is None else value))
