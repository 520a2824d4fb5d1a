"""Docstrings as plain text for a terminal."""

from __future__ import annotations

import re

_ROLE = re.compile(r':[a-z:]+:`~?([^`<]+?)(?:\s*<[^>]*>)?`')
_LITERAL = re.compile(r'``(.+?)``', re.DOTALL)
_NAME = re.compile(r'`([^`\n]+)`')
_MATH = re.compile(r'\.\. math::\s*')
_BAR = re.compile(r'\\overline\{([^{}]*)\}')
_COMMAND = re.compile(r'\\([a-zA-Z]+)\s?')
#: Commands of TeX that have a letter or sign of their own; of the others the name is left.
_SIGNS = {
    'alpha': 'α', 'beta': 'β', 'gamma': 'γ', 'delta': 'δ', 'epsilon': 'ε', 'lambda': 'λ', 'mu': 'µ', 'phi': 'φ',
    'rho': 'ρ', 'sigma': 'σ', 'sum': 'Σ', 'int': '∫', 'nabla': '∇', 'cdot': '·', 'circ': '∘', 'le': '≤', 'ge': '≥',
    'quad': '  ', 'in': '∈', 'sqrt': '√', 'infty': '∞', 'partial': '∂', 'times': '×', 'frac': '',
}  # fmt: skip


def plain_docstring(text: str) -> str:
    r"""A docstring without marks: roles become the last part of the name they lead to, literals lose their quotes.

    Example:
        >>> plain_docstring('See :class:`~mmreg.io.Volume`, ``(N, C)``.')
        'See Volume, (N, C).'
        >>> plain_docstring(r'Loss :math:`1 - \overline{cc} + \epsilon`.')
        'Loss 1 - mean(cc) + ε.'
    """
    text = _ROLE.sub(lambda found: found[1].rpartition('.')[2] if '.' in found[1] else found[1], text)
    text = _MATH.sub('', _LITERAL.sub(lambda found: found[1], text))
    text = _COMMAND.sub(lambda found: _SIGNS.get(found[1], found[1]), _BAR.sub(r'mean(\1)', text))
    return _NAME.sub(lambda found: found[1], text).rstrip()
