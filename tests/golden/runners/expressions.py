"""Evaluates the small expressions by which golden JSONs describe their inputs, without executing them as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from typing import Any

_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def evaluate(expression: str | ast.expr, names: Mapping[str, Any]) -> Any:
    """Value of calls, numbers, strings, tuples, arithmetic and ``[None]``, with ``names`` to look words up.

    Dotted words are looked up whole (``'numpy.roll'``).
    """
    node = ast.parse(expression.strip(), mode='eval').body if isinstance(expression, str) else expression
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.Name, ast.Attribute)):
        return names[ast.unparse(node)]
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(evaluate(entry, names) for entry in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -evaluate(node.operand, names)
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](evaluate(node.left, names), evaluate(node.right, names))
    if isinstance(node, ast.Subscript) and ast.unparse(node.slice) == 'None':
        return evaluate(node.value, names)[None]
    if isinstance(node, ast.Call):
        options = {word.arg: evaluate(word.value, names) for word in node.keywords if word.arg}
        return evaluate(node.func, names)(*[evaluate(argument, names) for argument in node.args], **options)
    raise ValueError(f'cannot evaluate {ast.unparse(node)!r}')
