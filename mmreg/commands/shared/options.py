"""Options that every command understands, written once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmreg.errors import ConfigError


class KeyValue(argparse.Action):
    """``--cfg-options key=value ...`` to a dictionary; values are parsed as numbers, booleans, lists or text."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        option_string: str | None = None,
    ) -> None:
        from mmengine.config import DictAction

        options = dict(getattr(namespace, self.dest, None) or {})
        for text in [values] if isinstance(values, str) else values or ():
            key, separator, value = text.partition('=')
            if not separator or not key:
                parser.error(f'{option_string} {text}: expected KEY=VALUE')
            try:
                options[key] = DictAction._parse_iterable(value)
            except AssertionError:
                parser.error(f'{option_string} {text}: the brackets do not match')
        setattr(namespace, self.dest, options)


def add_common(parser: argparse.ArgumentParser, config_options: bool = True) -> None:
    """Add ``--plugin``, ``--debug`` and, for commands that read a config, ``--cfg-options``."""
    if config_options:
        parser.add_argument(
            '--cfg-options',
            nargs='+',
            action=KeyValue,
            default={},
            metavar='KEY=VALUE',
            help='change config keys, e.g. optim_wrapper.optimizer.lr=1e-3; +key=value adds a new one',
        )
    parser.add_argument(
        '--plugin',
        action='append',
        default=[],
        metavar='FILE',
        help='Python file (or module) that registers parts; may be given several times; it is executed',
    )
    parser.add_argument('--debug', action='store_true', help='show the stack trace of an error')


def require_file(path: str, what: str) -> str:
    """``path`` if it is a file; one sentence otherwise."""
    from pathlib import Path

    if not Path(path).expanduser().is_file():
        raise ConfigError(f'{path}: there is no such {what}.')
    return path
