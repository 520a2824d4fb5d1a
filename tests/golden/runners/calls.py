"""The inputs that a golden JSON writes as a call, such as ``flow(8, shape, 3.0, sigma=2.0)``, built from its text."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Sequence

import numpy as np

from tests.golden import fill

_CALL = re.compile(r'\b(flow|image|labels|noise)\(([^()]*(?:\([^()]*\))?[^()]*)\)')


def arrays(text: str, shape: Sequence[int]) -> list[np.ndarray]:
    """The arrays of all calls in ``text``, in order; ``shape`` stands for the name in it."""
    return [_build(name, arguments, tuple(shape)) for name, arguments in _CALL.findall(text)]


def array(text: str, shape: Sequence[int]) -> np.ndarray:
    """The array of the only call in ``text``."""
    (found,) = arrays(text, shape)
    return found


def _build(name: str, arguments: str, shape: tuple[int, ...]) -> np.ndarray:
    call = ast.parse(f'f({arguments})', mode='eval').body
    assert isinstance(call, ast.Call)
    values = [_value(node, shape) for node in call.args]
    options = {word.arg: _value(word.value, shape) for word in call.keywords if word.arg}
    if name == 'noise':
        seed, size = values
        return np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    if len(values) == 1:  # image(1): of the case's own shape
        values.append(shape)
    return getattr(fill, name)(*values, **options)


def _value(node: ast.expr, shape: tuple[int, ...]) -> object:
    """A literal, or ``shape``, ``shape[:2]``, ``shape//2``, ``shape+1``."""
    if isinstance(node, ast.Name) and node.id == 'shape':
        return shape
    if isinstance(node, ast.Subscript):
        base, cut = _value(node.value, shape), node.slice
        assert isinstance(base, tuple) and isinstance(cut, ast.Slice)
        ends = (None if end is None else ast.literal_eval(end) for end in (cut.lower, cut.upper))
        return base[slice(*ends)]
    if isinstance(node, ast.BinOp):
        base, number = _value(node.left, shape), ast.literal_eval(node.right)
        assert isinstance(base, tuple)
        change = {ast.FloorDiv: operator.floordiv, ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
        return tuple(change[type(node.op)](n, number) for n in base)
    value = ast.literal_eval(node)
    return tuple(value) if isinstance(value, list) else value
