"""Text, JSON and YAML of others: read within limits, and whatever is wrong with the file is one sentence."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mmreg.errors import DataError, InputError

#: No list of pairs, config or landmark file comes near these.
LARGEST = 256 << 20
DEEPEST = 100
MOST = 2_000_000
_KINDS = (
    (stat.S_ISDIR, 'a folder'),
    (stat.S_ISFIFO, 'a pipe'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
    (stat.S_ISSOCK, 'a socket'),
)


def regular_file(path: str | Path, expected: str = 'a file', error: type[InputError] = DataError) -> Path:
    """``path`` if it is a regular file, or a link to one.

    A pipe or a device would be waited for, or read, without end.

    Args:
        path: The file.
        expected: What the sentence asks for.
        error: What is raised.

    Raises:
        DataError: (or ``error``) there is no such file, it is not a regular one, or its name cannot be one.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as missing:
        raise error(f'{path}: found no such file, expected {expected}') from missing
    except (OSError, ValueError) as reason:  # ValueError: a null byte in the name
        words = getattr(reason, 'strerror', None) or str(reason)
        raise error(f'{path}: cannot be read ({words}), expected {expected}') from reason
    if not stat.S_ISREG(mode):
        kind = next((words for test, words in _KINDS if test(mode)), 'something else')
        raise error(f'{path}: found {kind}, not a regular file, expected {expected}')
    if not os.access(path, os.R_OK):
        raise error(f'{path}: cannot be read (Permission denied), expected {expected}')
    return path


def read_text(path: str | Path, expected: str = 'a text file', error: type[InputError] = DataError) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        DataError: (or ``error``) no regular file, larger than ``LARGEST`` bytes, or no UTF-8.
    """
    path = regular_file(path, expected, error)
    try:
        with open(path, 'rb') as file:
            data = file.read(LARGEST + 1)
    except OSError as reason:
        raise error(f'{path}: cannot be read ({reason.strerror}), expected {expected}') from reason
    if len(data) > LARGEST:
        raise error(f'{path}: found more than {LARGEST >> 20} MiB, expected {expected}')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as reason:
        place = f'no UTF-8 at byte {reason.start}'
        raise error(f'{path}: found bytes that are not text ({place}), expected {expected}') from reason


def read_json(path: str | Path, expected: str = 'JSON', error: type[InputError] = DataError) -> Any:
    """The content of a JSON file; see :func:`parse_json`."""
    return parse_json(read_text(path, expected, error), str(path), expected, error)


def parse_json(text: str | bytes, source: str, expected: str = 'JSON', error: type[InputError] = DataError) -> Any:
    """Plain values from JSON.

    Args:
        text: The JSON.
        source: Its file, for errors.
        expected: What the sentence asks for.
        error: What is raised.

    Raises:
        DataError: (or ``error``) not parsable, or nested deeper than ``DEEPEST``.
    """
    try:
        return within_limits(json.loads(text), source, error)
    except RecursionError as reason:
        raise error(f'{source}: found values nested without end, expected {expected}') from reason
    except InputError:
        raise
    except ValueError as reason:  # also numbers of thousands of digits, and bytes that are no text
        raise error(f'{source}: not readable as JSON ({_brief(reason)}), expected {expected}') from reason


def read_yaml(path: str | Path, expected: str = 'YAML', error: type[InputError] = DataError) -> Any:
    """Plain values from a YAML file; tags that would build Python objects are refused.

    Raises:
        DataError: (or ``error``) as of :func:`parse_json`.
    """
    import yaml

    text = read_text(path, expected, error)
    try:
        return within_limits(yaml.load(text, Loader=_yaml_loader()), str(path), error)
    except RecursionError as reason:
        raise error(f'{path}: found values nested without end, expected {expected}') from reason
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, TypeError) as reason:
        raise error(f'{path}: not readable as YAML ({_yaml_words(reason)}), expected {expected}') from reason


def within_limits(value: Any, source: str, error: type[InputError] = DataError) -> Any:
    """``value`` itself, if it is not nested too deeply and not too large (YAML's anchors can unfold without end).

    Raises:
        DataError: (or ``error``) it is.
    """
    waiting, count = [(value, 0)], 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if depth > DEEPEST:
            raise error(f'{source}: found values nested deeper than {DEEPEST}, expected plain lists and keys')
        if count > MOST:
            raise error(f'{source}: found more than {MOST} values, expected fewer')
        if isinstance(item, Mapping):
            waiting += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list | tuple | set):
            waiting += [(inner, depth + 1) for inner in item]
    return value


@cache
def _yaml_loader() -> Any:
    """yaml's safe loader, which also knows the tuples that a Python config holds when it is dumped."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def pair(loader: Any, node: Any) -> tuple[Any, ...]:
        return tuple(loader.construct_sequence(node, deep=True))

    Loader.add_constructor('tag:yaml.org,2002:python/tuple', pair)
    return Loader


def _brief(error: Exception) -> str:
    text = ' '.join(str(error).split())
    return (text[:120] + '...') if len(text) > 120 else text or type(error).__name__


def _yaml_words(error: Exception) -> str:
    """What yaml found and where, on one line."""
    problem, mark = getattr(error, 'problem', None), getattr(error, 'problem_mark', None)
    words = _brief(Exception(problem)) if problem else _brief(error)
    return f'{words}, line {mark.line + 1}' if mark is not None else words
