"""`mmreg completion`: what a shell needs to complete commands, options, parts, presets and configs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from mmreg.errors import ConfigError
from mmreg.utils import console

SHELLS = ('bash', 'zsh', 'tcsh')
#: Arguments that take a name of something that comes with mmreg, by command and name of the argument.
_CONFIGS = ('config', 'configs')


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg completion`."""
    parser = argparse.ArgumentParser(
        prog='mmreg completion',
        description='Print the completion of a shell: eval "$(mmreg completion bash)" in ~/.bashrc, or for zsh '
        'mmreg completion zsh > a folder of fpath/_mmreg.',
    )
    parser.add_argument('shell', nargs='?', choices=SHELLS, default='bash', help='which shell (default: bash)')
    return parser


def main(
    argv: Sequence[str] | None = None,
    commands: Mapping[str, tuple[str, str]] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> int:
    """Entry point of `mmreg completion`; returns the exit code.

    Args:
        argv: The shell.
        commands: Command -> its module and one line of help.
        aliases: Other name -> command.
    """
    args = build_parser().parse_args(argv)
    return console.run(lambda: _print(args.shell, commands or {}, aliases or {}))


def _print(shell: str, commands: Mapping[str, tuple[str, str]], aliases: Mapping[str, str]) -> None:
    try:
        import shtab
    except ImportError as error:
        raise ConfigError(
            'the completion of shells is written by shtab, which is not installed: pip install "mmreg[completion]"'
        ) from error
    sys.stdout.write(shtab.complete(whole_parser(shtab, commands, aliases), shell) + '\n')


def whole_parser(
    shtab: Any, commands: Mapping[str, tuple[str, str]], aliases: Mapping[str, str]
) -> argparse.ArgumentParser:
    """One parser with all commands, whose arguments say what they are completed by."""
    parser = argparse.ArgumentParser(prog='mmreg', add_help=True)
    parser.add_argument('--version', '-V', action='store_true', help='print the version')
    below = parser.add_subparsers()
    for name, (module, text) in commands.items():
        own = parser_of(import_module(module).main)
        others = [alias for alias, meant in aliases.items() if meant == name]
        added = below.add_parser(name, parents=[own], help=text, add_help=False, aliases=others)
        for action in added._actions:
            _complete(shtab, name, action)
    return parser


class _Found(Exception):
    """Carries a parser out of the function that made it."""

    def __init__(self, parser: argparse.ArgumentParser):
        super().__init__(parser.prog)
        self.parser = parser


def parser_of(main: Callable[[Sequence[str]], int]) -> argparse.ArgumentParser:
    """The parser by which a command understands its arguments."""

    def caught(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        raise _Found(self)

    original = argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_known_args = caught  # type: ignore[assignment, method-assign]
    try:
        main([])
    except _Found as found:
        return found.parser
    finally:
        argparse.ArgumentParser.parse_known_args = original  # type: ignore[method-assign]
    raise AssertionError('a command read no arguments')


def _complete(shtab: Any, command: str, action: argparse.Action) -> None:
    """Names where there are some, folders and files where a placeholder says so."""
    names = _names(command, action)
    if names and not action.choices:
        action.choices = names
    metavar = action.metavar if isinstance(action.metavar, str) else ''
    if metavar in ('DIR', 'ROOT'):
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    elif metavar in ('FILE', 'FIXED', 'MOVING', 'LIST', 'TRANSFORM', 'CONFIG') or action.dest in _CONFIGS:
        action.complete = shtab.FILE  # type: ignore[attr-defined]


def _names(command: str, action: argparse.Action) -> list[str]:
    from mmreg.utils.shipped import config_folder

    if command == 'list' and action.dest == 'name':
        from .shared.part_sources import parts_of_sources

        return [name for title, parts in parts_of_sources().items() for name in (title, *(p.name for p in parts))]
    if action.dest == 'preset':
        return [path.stem.removeprefix('register_') for path in sorted(config_folder().glob('register_*.py'))]
    return []
