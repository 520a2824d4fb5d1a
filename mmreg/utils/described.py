"""Dataclasses whose fields say what they are: keywords, help texts and tables are made from them, and cannot drift."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, field, fields
from difflib import get_close_matches
from typing import Any, TypeVar

_F = TypeVar('_F', bound=Callable[..., Any])


def described(text: str, default: Any = MISSING, *, python: str = '', **cli: Any) -> Any:
    """A field of a dataclass with its description.

    Args:
        text: What it is, for every reader: help text of the option and description of the keyword.
        default: Its default; none for a field that must be given.
        python: What only a Python user may give, added to the description of the keyword.
        cli: Keyword arguments of :meth:`argparse.ArgumentParser.add_argument`; ``flag=None`` hides the field there.
    """
    return field(default=default, metadata={'text': text, 'python': python, 'cli': cli})


def descriptions(kind: type) -> Iterator[tuple[Field[Any], str]]:
    """Fields of a dataclass with what they are."""
    for one in fields(kind):
        yield one, one.metadata['text']


def keyword_docs(*kinds: type, skip: Collection[str] = ()) -> str:
    """The fields as entries of an ``Args:`` section."""
    lines = []
    for one, text in (pair for kind in kinds for pair in descriptions(kind)):
        if one.name not in skip:
            more = f'; {one.metadata["python"]}' if one.metadata['python'] else ''
            entry = f'{one.name}: {text[:1].upper()}{text[1:]}{more}.'
            lines.append(textwrap.fill(entry, 112, subsequent_indent='    '))
    return '\n'.join(lines)


def markdown_table(kind: type) -> str:
    """The fields as rows of a table for the docs: keyword, option of the command line, what it is."""
    rows = ['| keyword | option | what it is |', '|---|---|---|']
    for one, text in descriptions(kind):
        option = '' if one.metadata['cli'].get('flag', '') is None else f'`--{one.name.replace("_", "-")}`'
        more = f'; in Python {one.metadata["python"]}' if one.metadata['python'] else ''
        rows.append(f'| `{one.name}` | {option} | {text}{more.replace("``", "`")} |')
    return '\n'.join(rows) + '\n'


def with_keywords(*kinds: type, skip: Collection[str] = ()) -> Callable[[_F], _F]:
    """Give a function that takes ``**kwargs`` the fields of dataclasses as keywords: in its signature and docstring.

    The line ``{keywords}`` in the docstring becomes their descriptions.

    Args:
        kinds: Dataclasses of :func:`described` fields.
        skip: Fields that the function does not take.
    """

    def complete(function: _F) -> _F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        named = {p.name for p in own} | set(skip)
        added = [
            inspect.Parameter(
                one.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if one.default is MISSING else one.default,
                annotation=one.type,
            )
            for kind in kinds
            for one in fields(kind)
            if one.name not in named
        ]
        function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        doc = inspect.cleandoc(function.__doc__ or '')
        function.__doc__ = doc.replace('    {keywords}', textwrap.indent(keyword_docs(*kinds, skip=skip), '    '))
        return function

    return complete


def split_keywords(given: Mapping[str, Any], *kinds: type) -> list[dict[str, Any]]:
    """The keywords that belong to each dataclass.

    Raises:
        TypeError: a keyword that none of them has; the nearest one is named.
    """
    known = [[one.name for one in fields(kind)] for kind in kinds]
    everything = [name for names in known for name in names]
    for name in given:
        if name not in everything:
            close = get_close_matches(name, everything, n=1)
            hint = f'did you mean {close[0]!r}?' if close else f'expected some of {", ".join(everything)}.'
            raise TypeError(f'got an unexpected keyword argument {name!r}; {hint}')
    return [{name: given[name] for name in names if name in given} for names in known]
