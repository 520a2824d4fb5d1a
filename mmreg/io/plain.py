"""Anything as JSON can hold it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def plain(value: Any, other: Callable[[Any], Any] = str) -> Any:
    """``value`` as dicts, lists, texts, numbers, booleans and None.

    Args:
        value: Arrays and tensors of any library become lists, sets sorted lists, keys texts.
        other: What becomes of everything else; its text by default.

    Example:
        >>> plain({'shape': (2, np.int64(3)), 1: {'b', 'a'}})
        {'shape': [2, 3], '1': ['a', 'b']}
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item, other) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, other) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item, other) for item in sorted(value, key=repr)]
    if not isinstance(value, type) and callable(getattr(value, 'tolist', None)):
        return plain(value.tolist(), other)
    return value.__name__ if isinstance(value, type) and other is str else other(value)


def json_text(content: Any, indent: int | None = 2, keep_nan: bool = False) -> str:
    """JSON of :func:`plain` values, ending in a line break.

    Args:
        content: What to write.
        indent: Blanks per depth; None for a single line.
        keep_nan: Write ``NaN`` and ``Infinity``, which not every reader understands; they become null otherwise.

    Example:
        >>> json_text({'dice': float('nan')}, indent=0)
        '{\\n"dice": null\\n}\\n'
    """
    found = plain(content)
    return json.dumps(found if keep_nan else _finite(found), indent=indent) + '\n'


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
