"""`mmreg config`: print a config with its bases and options merged."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmreg.utils import console

from .shared.options import CONFIG_HELP, add_common


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg config`."""
    parser = argparse.ArgumentParser(prog='mmreg config', description='Print a config with everything merged.')
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--out', metavar='FILE', help='write it to a file instead')
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg config` and tools/print_config.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _print(args), debug=args.debug)


def _write(cfg: Any, out: str) -> None:
    """As Python, or by its ending as JSON or YAML, which are data."""
    from mmengine.fileio import dump

    from mmreg.utils.atomic import write_text

    ending = out.rpartition('.')[2].lower()
    write_text(out, dump(cfg.to_dict(), file_format=ending) if ending in ('json', 'yaml', 'yml') else cfg.pretty_text)


def _print(args: argparse.Namespace) -> None:
    from mmreg.plugins import load_plugin
    from mmreg.utils.config import load_config, merge_options

    for plugin in args.plugin:
        load_plugin(plugin)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    if args.out:
        _write(cfg, args.out)
    else:
        console.say(cfg.pretty_text)
