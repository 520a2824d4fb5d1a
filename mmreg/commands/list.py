"""`mmreg list`: every registered part with its summary and signature, or one part with its documentation."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mmreg.errors import ConfigError
from mmreg.utils import console
from mmreg.utils.plain_text import plain_docstring

from .shared.options import add_common
from .shared.part_sources import Part, parts_of_sources


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg list`."""
    parser = argparse.ArgumentParser(
        prog='mmreg list', description='Print the registered parts, or what one of them is and takes.'
    )
    parser.add_argument(
        'name', nargs='?', help='a registry, e.g. losses, or a part, e.g. LNCC, whose documentation is then printed'
    )
    parser.add_argument('--names', action='store_true', help='names only, one per line')
    add_common(parser, config_options=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg list`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _list(args), debug=args.debug)


def _list(args: argparse.Namespace) -> None:
    everything = find_parts(args.plugin)
    chosen: Mapping[str, Sequence[Part]] = everything
    if args.name is not None:
        key = _registry(args.name, everything)
        if key is None:
            _tell(_named(args.name, everything))
            return
        chosen = {key: everything[key]}
    for title, parts in chosen.items():
        if args.names:
            for part in parts:
                console.say(part.name)
            continue
        console.say(f'{title} ({len(parts)})')
        for part in parts:
            console.say(textwrap.indent(describe(part), '  '))
        console.say()


def find_parts(plugins: Sequence[str] = ()) -> Mapping[str, Sequence[Part]]:
    """The parts by registry: from the sources, or from the registries where plugins add to them.

    Raises:
        ConfigError: a plugin that cannot be loaded.
    """
    from importlib.metadata import entry_points

    if not plugins and not entry_points(group='mmreg.plugins'):
        return parts_of_sources()
    from mmreg.plugins import register_all_modules
    from mmreg.registry import PUBLIC

    register_all_modules(plugins)
    found = {}
    for title, registry in PUBLIC.items():
        registry.import_from_location()
        found[title] = [_registered(title, name, part) for name, part in sorted(registry.module_dict.items())]
    return found


def describe(part: Part) -> str:
    """Two or three lines: the name with the constructor's signature, the summary, where a plugin part comes from."""
    lines = [f'{part.name}{part.signature}', f'    {plain_docstring(part.summary)}']
    if part.is_foreign:
        lines.append(f'    from {part.module}')
    return '\n'.join(lines)


def _registry(name: str, everything: Iterable[str]) -> str | None:
    """The registry of that name, which may be in the singular."""
    key = name.lower().replace('-', '_').replace(' ', '_')
    return next((known for known in (key, f'{key}s') if known in everything), None)


def _named(name: str, everything: Mapping[str, Sequence[Part]]) -> list[Part]:
    """The parts of that name in any registry, whatever its case.

    Raises:
        ConfigError: there is none; near names of parts and registries are told.
    """
    parts = [part for group in everything.values() for part in group]
    found = [part for part in parts if part.name == name] or [p for p in parts if p.name.lower() == name.lower()]
    if found:
        return found
    known = {text.lower(): text for text in (*everything, *(part.name for part in parts))}
    close = [known[text] for text in get_close_matches(name.lower(), known, n=3, cutoff=0.6)]
    hint = f'did you mean {" or ".join(map(repr, close))}?' if close else 'expected '
    if not close:
        hint += f'a registered part or one of the registries {", ".join(everything)}.'
    raise ConfigError(f'there is no registry and no part {name!r}{"; " if close else ", "}{hint}')


def _tell(parts: Sequence[Part]) -> None:
    """Each of them with its whole documentation."""
    for part in parts:
        console.say(f'{part.name}{part.signature}')
        console.say(f'    one of the {part.title.replace("_", " ")}, {part.module}\n')
        console.say(textwrap.indent(plain_docstring(part.text) or 'no description', '    '))
        console.say()


def _registered(title: str, name: str, part: Any) -> Part:
    text = part.__dict__.get('__doc__') if inspect.isclass(part) else part.__doc__
    return Part(title, name, _signature(part), inspect.cleandoc(text or ''), getattr(part, '__module__', ''))


def _signature(part: Any) -> str:
    """What a config may write next to ``type=``, without annotations."""
    try:
        parameters = inspect.signature(part).parameters.values()
    except (TypeError, ValueError):
        return '(...)'
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(bare))
