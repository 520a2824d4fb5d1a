"""Options that every command understands, written once."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from mmreg.errors import ConfigError
from mmreg.utils.described import descriptions
from mmreg.utils.option_values import parse_value

#: Of every argument that is a config.
CONFIG_HELP = 'config: a file (it is Python and is executed), or the name of one that comes with mmreg (`mmreg models`)'


def whole(least: int = 1, most: int = 10**6) -> Callable[[str], int]:
    """What an option is parsed with that takes a whole number from ``least`` to ``most``."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f'found {text!r}, expected a whole number from {least} to {most}')
        return number

    return parse


def between(least: float, most: float) -> Callable[[str], float]:
    """What an option is parsed with that takes a finite number from ``least`` to ``most``."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f'found {text!r}, expected a number from {least:g} to {most:g}')
        return number

    return parse


class Parser(argparse.ArgumentParser):
    """An option of a published system that is not one of ours is answered with the key that says the same here."""

    def error(self, message: str) -> NoReturn:
        from mmreg.utils.config_keys import hint_of

        unknown = message.partition('unrecognized arguments: ')[2].split()
        hints = dict.fromkeys(hint_of(word) for word in unknown if word.startswith('-') or '=' in word)
        told = [f'{hint} (--cfg-options KEY=VALUE)' for hint in hints if hint]
        told += [f'did you mean {near}?' for word in unknown if (near := self._near(word))]
        super().error('; '.join([message, *dict.fromkeys(told)]))

    def _near(self, word: str) -> str | None:
        """The option that a misspelt one was meant for."""
        if not word.startswith('--'):
            return None
        close = get_close_matches(word.partition('=')[0], self._option_string_actions, n=1, cutoff=0.75)
        return close[0] if close else None


class KeyValue(argparse.Action):
    """``--cfg-options key=value ...`` to a dictionary; values are numbers, booleans, lists, text or configs."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for text in [values] if isinstance(values, str) else values or ():
            key, separator, value = text.partition('=')
            if not separator or not key:
                parser.error(f'{option_string} {text}: expected KEY=VALUE')
            try:
                options[key] = parse_value(value, f'{option_string} {key}')
            except ConfigError as error:
                parser.error(str(error))
        setattr(namespace, self.dest, options)


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """``--launcher`` and the rank that old launchers pass."""
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='what started the processes'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_common(parser: argparse.ArgumentParser, config_options: bool = True) -> None:
    """Add ``--plugin``, ``--debug`` and, for commands that read a config, ``--cfg-options``."""
    if config_options:
        parser.add_argument(
            '--cfg-options',
            nargs='+',
            action=KeyValue,
            default={},
            metavar='KEY=VALUE',
            help='change config keys, e.g. optim_wrapper.optimizer.lr=1e-3 or a whole part, '
            'model.losses.similarity="dict(type=\'MIND\')"; +key=value adds a new one',
        )
    parser.add_argument(
        '--plugin',
        action='append',
        default=[],
        metavar='FILE',
        help='Python file, folder with an __init__.py or module that registers parts; may be given several times; it '
        'is executed',
    )
    add_debug(parser)


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Add ``--debug``."""
    parser.add_argument('--debug', action='store_true', help='show the stack trace of an error')


def add_described(
    parser: argparse._ActionsContainer,
    kind: type,
    names: Sequence[str],
    defaults: Mapping[str, Any] | None = None,
    **settings: Any,
) -> None:
    """Add options for fields of a dataclass of :func:`mmreg.utils.described.described` fields.

    Args:
        parser: Gets the options.
        kind: The dataclass.
        names: Of the fields.
        defaults: Other defaults than the fields', which the help then tells.
        settings: For all of them, as :meth:`argparse.ArgumentParser.add_argument` takes them.
    """
    for field, text in descriptions(kind):
        if field.name not in names:
            continue
        own = {**settings, **field.metadata['cli']}
        short = [own.pop('short')] if 'short' in own else []
        default = None if field.default is MISSING else field.default
        if field.name in (defaults or {}):
            default = (defaults or {})[field.name]
            text = f'{text} (default: {default or "none"})'
        name = f'--{field.name.replace("_", "-")}'
        parser.add_argument(name, *short, default=default, help=text.replace('%', '%%'), **own)


def check_folder(path: str | None, option: str) -> None:
    """Refuse a folder for results that cannot be one, before anything is written.

    Raises:
        ConfigError: a file stands where it or a folder above it would be.
    """
    if path is None:
        return
    there = next((part for part in (Path(path), *Path(path).parents) if part.exists()), None)
    if there is not None and not there.is_dir():
        where = '' if there == Path(path) else f' at {there}'
        raise ConfigError(f'--{option.replace("_", "-")} {path}: found a file{where}, expected the name of a folder.')
