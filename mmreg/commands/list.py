"""`mmreg list`: every registered part with its summary and signature."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

from mmreg.errors import ConfigError
from mmreg.plugins import register_all_modules
from mmreg.utils import console

from .shared.options import add_common


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg list`."""
    parser = argparse.ArgumentParser(prog='mmreg list', description='Print the registered parts.')
    parser.add_argument('registry', nargs='?', help='one registry, e.g. losses (default: all)')
    parser.add_argument('--names', action='store_true', help='names only, one per line')
    add_common(parser, config_options=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg list`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _list(args), debug=args.debug)


def _list(args: argparse.Namespace) -> None:
    from mmreg.registry import PUBLIC

    register_all_modules(args.plugin)
    chosen = PUBLIC
    if args.registry is not None:
        key = args.registry.lower().replace('-', '_')
        key = key if key in PUBLIC else key + 's'
        if key not in PUBLIC:
            raise ConfigError(f'there is no registry {args.registry!r}, expected one of {", ".join(PUBLIC)}.')
        chosen = {key: PUBLIC[key]}
    for title, registry in chosen.items():
        parts = dict(sorted(registry.module_dict.items()))
        if args.names:
            for name in parts:
                console.say(name)
            continue
        console.say(f'{title} ({len(parts)})')
        for name, part in parts.items():
            console.say(textwrap.indent(describe(name, part), '  '))
        console.say()


def describe(name: str, part: Any) -> str:
    """Two or three lines: the name with the constructor's signature, the summary, where a plugin part comes from."""
    lines = [f'{name}{signature(part)}', f'    {summary(part)}']
    module = getattr(part, '__module__', '')
    if not module.startswith('mmreg.') or module.startswith('mmreg_plugin_'):
        lines.append(f'    from {module}')
    return '\n'.join(lines)


def summary(part: Any) -> str:
    """First sentence of a part's docstring."""
    text = part.__dict__.get('__doc__') if inspect.isclass(part) else part.__doc__
    return ' '.join((inspect.cleandoc(text).split('\n\n')[0] if text else 'no description').split())


def signature(part: Any) -> str:
    """What a config may write next to ``type=``, without annotations."""
    try:
        parameters = inspect.signature(part).parameters.values()
    except (TypeError, ValueError):
        return '(...)'
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(bare))
