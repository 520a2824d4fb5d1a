"""`mmreg embed`: compute the text embeddings of a config's label set once, and keep them in a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmreg.utils import console

from .shared.options import CONFIG_HELP, add_common


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of tools/embed_labels.py; returns the exit code."""
    args = _parser().parse_args(argv)
    return console.run(lambda: embed_labels(args), debug=args.debug)


def embed_labels(args: argparse.Namespace) -> None:
    """Do what the parsed ``args`` say."""
    from mmreg.plugins import register_all_modules
    from mmreg.text.precompute import computed_table
    from mmreg.utils.config import load_config, merge_options

    register_all_modules(args.plugin)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    table, place = computed_table(cfg.to_dict(), args.config, args.hash)
    for reason in table.meta.pop('tried', []):
        console.say(f'not used: {reason}')
    target = args.out or place
    table.save(target)
    console.say(
        f'{target}: {len(table.names)} rows of {table.dim} by {table.meta["provider"]}, encoder '
        f'{table.meta["encoder"]}, background {table.meta.get("background", "-")}'
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='mmreg embed',
        description='Compute the text embeddings of the labels of a config, with the first provider that works.',
    )
    parser.add_argument('config', help=f'with a TextSCFHead; {CONFIG_HELP}')
    parser.add_argument('--out', '-o', metavar='FILE', help='.npz or .safetensors (default: where the config looks)')
    parser.add_argument(
        '--hash', action='store_true', help='take hash numbers, which mean nothing, where no encoder works'
    )
    add_common(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
