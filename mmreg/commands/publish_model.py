"""`mmreg publish-model`: what inference needs of a checkpoint, under a name with a hash."""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.utils import console


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg publish-model`."""
    parser = argparse.ArgumentParser(
        prog='mmreg publish-model',
        description='Strip optimizer, schedules and logs from a checkpoint; the new name ends with the date and the '
        'first eight digits of the SHA-256 of the file.',
    )
    parser.add_argument('source', metavar='IN', help='checkpoint of a training run')
    parser.add_argument('target', metavar='OUT', help='name of the new file: OUT.pth becomes OUT_<date>-<hash>.pth')
    parser.add_argument('--no-date', action='store_true', help='leave the date out of the name')
    parser.add_argument('--debug', action='store_true', help='show the stack trace of an error')
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg publish-model`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _publish(args), debug=args.debug)


def _publish(args: argparse.Namespace) -> None:
    path = publish(args.source, args.target, None if args.no_date else date.today())
    before, after = (Path(name).stat().st_size / 2**20 for name in (args.source, path))
    console.say(f'{path}: {after:.1f} MiB, {before:.1f} MiB with what training needs')


def publish(source: str | Path, target: str | Path, day: date | None = None) -> Path:
    """Write the weights and what inference needs; returns the file, whose name has its hash.

    Raises:
        CheckpointError: no checkpoint.
        ConfigError: the new name has another ending than .pth.
    """
    import torch

    from mmreg.utils.atomic import write_bytes
    from mmreg.utils.checkpoint import read_checkpoint, weights_of

    target = Path(target)
    if not target.name:
        raise ConfigError(f'{str(target)!r}: found no file name, expected that of the new checkpoint.')
    if target.suffix not in ('', '.pth'):
        raise ConfigError(f'{target}: found the ending {target.suffix!r}, expected .pth.')
    content = read_checkpoint(source)
    meta = {key: value for key, value in (content.get('meta') or {}).items() if key not in ('epoch', 'iter')}
    stream = io.BytesIO()
    torch.save({'state_dict': dict(weights_of(content)), 'meta': meta}, stream)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()[:8]
    when = f'_{day:%Y%m%d}' if day else ''
    path = target.with_name(f'{target.stem}{when}-{digest}.pth')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, stream.getvalue())
    return path
