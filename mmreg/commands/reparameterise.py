"""`mmreg reparameterise`: a checkpoint whose large-kernel blocks are one convolution each, for inference."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.utils import console

from .shared.options import CONFIG_HELP, add_common


def reparameterise_checkpoint(
    config: str | Path, source: str | Path, target: str | Path, cfg_options: Mapping[str, Any] | None = None
) -> int:
    """Write to ``target`` the checkpoint ``source`` of ``config`` in its single-kernel form.

    Load it with ``model.backbone.fused=True``. Outputs agree to rounding (1e-5 of a network's output).

    Returns:
        How many weights (numbers) the written checkpoint has.

    Raises:
        ConfigError: the model has no block that can be merged.
        CheckpointError: the checkpoint does not belong to the config.
    """
    import torch

    from mmreg.models.blocks.branches import reparameterise
    from mmreg.registration.model import init_model
    from mmreg.utils.atomic import replacing

    model = init_model(config, source, device='cpu', cfg_options=cfg_options)
    reparameterise(model)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    meta = {'reparameterised': True, 'source': Path(source).name}
    with replacing(target) as temporary:
        torch.save({'state_dict': state, 'meta': meta}, temporary)
    return sum(value.numel() for value in state.values())


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
    from mmreg.plugins import load_plugin

    for plugin in args.plugin:
        load_plugin(plugin)
    count = reparameterise_checkpoint(args.config, args.source, args.target, args.cfg_options)
    console.say(f'wrote {args.target}, {count:,} weights; use it with --cfg-options model.backbone.fused=True')
