"""Values of ``--cfg-options KEY=VALUE``: numbers, booleans, None, lists, text, and configs as Python writes them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, TypeGuard

from mmreg.errors import ConfigError

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_WORDS = {'true': True, 'false': False, 'null': None}


#: NumPy takes no larger ones.
_SEEDS = 2**32


def check_seed(seed: Any, name: str = 'seed') -> int:
    """A seed that Python, NumPy and torch take.

    Args:
        seed: The value.
        name: What it is called, for the error.

    Raises:
        ConfigError: no whole number, or one outside 0 ... 2^32 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
        raise ConfigError(f'{name} is {seed!r}, expected a whole number from 0 to {_SEEDS - 1}.')
    return seed


def parse_value(text: str, where: str = '--cfg-options') -> Any:
    """The value that ``text`` stands for; nothing is executed.

    ``{'type': 'MIND'}``, JSON, and ``dict(type='MIND')`` are configs; quotes around words may be missing, as shells
    take them away. Everything else is read as MMEngine's ``DictAction`` does: ``1e-3``, ``a,b``, ``[1,(2,3)]``.

    Args:
        text: What stands behind ``=``.
        where: The option, for errors.

    Raises:
        ConfigError: brackets that do not match, or something in a config that is no plain value.

    Example:
        >>> parse_value("dict(type='LNCC', levels=[1, 1/2])")
        {'type': 'LNCC', 'levels': [1, 0.5]}
        >>> parse_value('1e-3'), parse_value('a,b'), parse_value('None')
        (0.001, ['a', 'b'], None)
    """
    stripped = text.strip()
    if stripped[:1] in ('{', '[', '(') or stripped.startswith('dict('):
        try:
            return _value(ast.parse(stripped, mode='eval').body, f'{where}={text[:80]}')
        except ConfigError:
            if _is_config(stripped):
                raise
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if _is_config(stripped):
                reason = getattr(error, 'msg', None) or type(error).__name__
                raise ConfigError(
                    f"{where}={text[:80]}: {reason}, expected a config such as {{'type': 'MIND'}} or dict(type='MIND')."
                ) from error
    from mmengine.config import DictAction

    try:
        return DictAction._parse_iterable(text)
    except AssertionError as error:
        raise ConfigError(f'{where}={text[:80]}: the brackets do not match.') from error
    except RecursionError as error:
        raise ConfigError(f'{where}={text[:80]}: brackets are nested without end.') from error


def _is_config(text: str) -> bool:
    return text.startswith(('{', 'dict(')) or '{' in text or 'dict(' in text


def _value(node: ast.expr, where: str) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes | int | float | bool | None):
        return node.value.decode() if isinstance(node.value, bytes) else node.value
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id, node.id)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_value(key, where) for key in node.keys if key is not None]
        return dict(zip(map(str, keys), (_value(item, where) for item in node.values)))
    if _is_dict_call(node):
        return {str(keyword.arg): _value(keyword.value, where) for keyword in node.keywords}
    if isinstance(node, ast.List):
        return [_value(item, where) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item, where) for item in node.elts)
    number = _number(node, where)
    if number is not None:
        return number
    raise ConfigError(f'{where}: found {ast.unparse(node)[:40]!r}, expected text, numbers, lists, or dict(...).')


def _is_dict_call(node: ast.expr) -> TypeGuard[ast.Call]:
    """``dict(key=value, ...)`` and nothing else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        return False
    return node.func.id == 'dict' and all(keyword.arg for keyword in node.keywords)


def _number(node: ast.expr, where: str) -> Any:
    """Signs and the four operations on numbers, such as ``-1`` and ``1/2``; None for everything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _value(node.operand, where)
        if isinstance(inner, int | float):
            return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, where), _value(node.right, where)
        if isinstance(left, int | float) and isinstance(right, int | float):
            try:
                return _OPERATORS[type(node.op)](left, right)
            except (ZeroDivisionError, OverflowError) as error:
                raise ConfigError(f'{where}: {ast.unparse(node)[:40]!r} has no value ({error}).') from error
    return None
