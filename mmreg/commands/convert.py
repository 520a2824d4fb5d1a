"""``mmreg convert FAMILY IN OUT``: a published checkpoint becomes one of ours."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from mmreg.converters import FAMILIES, extract_weights
from mmreg.utils import console
from mmreg.utils.atomic import replacing
from mmreg.utils.checkpoint import read_checkpoint
from mmreg.version import __version__


def convert_file(family: str, source: str | Path, target: str | Path) -> tuple[dict, list[str]]:
    """Convert the checkpoint ``source`` of ``family`` and write it to ``target``.

    Returns:
        The model config that the weights tell (empty where they tell nothing), and the published keys that carry
        nothing of ours and were left out.

    Raises:
        CheckpointError: the file cannot be read, belongs to another family, or lacks weights.
    """
    chosen = FAMILIES[family]
    content = read_checkpoint(source)
    published = extract_weights(content, str(source))
    weights = chosen.convert(published)
    model = chosen.model(weights, content, str(source))
    meta = {'family': family, 'model': model, 'mmreg_version': __version__, 'source': Path(source).name}
    with replacing(target) as temporary:
        torch.save({'state_dict': {k: v.contiguous() for k, v in weights.items()}, 'meta': meta}, temporary)
    return model, chosen.unused(published)


def parser() -> argparse.ArgumentParser:
    families = '\n'.join(f'  {name:12s} {family.note}' for name, family in sorted(FAMILIES.items()))
    result = argparse.ArgumentParser(
        prog='mmreg convert',
        description='Convert a published checkpoint to one of ours.',
        epilog=f'families:\n{families}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument('family', choices=sorted(FAMILIES), help='what the checkpoint belongs to')
    result.add_argument('source', metavar='IN', help='the published file')
    result.add_argument('target', metavar='OUT', help='our checkpoint (.pth)')
    result.add_argument('--debug', action='store_true', help='show the stack trace of an error')
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``mmreg convert`` and ``tools/convert_checkpoint.py``; returns the exit code."""
    args = parser().parse_args(argv)
    return console.run(lambda: _convert(args), debug=args.debug)


def _convert(args: argparse.Namespace) -> None:
    model, unused = convert_file(args.family, args.source, args.target)
    console.say(f'wrote {args.target}')
    if unused:
        console.say(f'  left out {len(unused)} entries without use here: {", ".join(unused)}')
    for key, value in model.items():
        console.say(f'  model.{key} = {value}')
