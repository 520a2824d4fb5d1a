"""`mmreg reparameterise`: a checkpoint whose large-kernel blocks are one convolution each, for inference."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmreg.utils import console

from .shared.options import CONFIG_HELP, add_common


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg reparameterise`."""
    parser = argparse.ArgumentParser(
        prog='mmreg reparameterise',
        description='Merge the parallel kernels of LKU-Net into one per block, for inference.',
        epilog='Use the result with --cfg-options model.backbone.fused=True.',
    )
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('source', metavar='IN', help='checkpoint of that config')
    parser.add_argument('target', metavar='OUT', help='checkpoint to write')
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg reparameterise` and tools/reparameterise.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _run(args), debug=args.debug)


def _run(args: argparse.Namespace) -> None:
    from mmreg.converters.reparameterise import reparameterise_checkpoint
    from mmreg.plugins import register_all_modules

    register_all_modules(args.plugin)
    count = reparameterise_checkpoint(args.config, args.source, args.target, args.cfg_options)
    console.say(f'wrote {args.target}, {count:,} weights; use it with --cfg-options model.backbone.fused=True')
