"""``mmreg convert FAMILY IN OUT``: a published checkpoint becomes one of ours."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmreg.utils import console

from .shared.family_sources import family_notes


def parser() -> argparse.ArgumentParser:
    """Options of `mmreg convert`."""
    families = '\n'.join(f'  {name:12s} {note}' for name, note in family_notes().items())
    result = argparse.ArgumentParser(
        prog='mmreg convert',
        description='Convert a published checkpoint to one of ours.',
        epilog=f'families:\n{families}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument('family', help='what the checkpoint belongs to, or auto')
    result.add_argument('source', metavar='IN', help='the published file')
    result.add_argument('target', metavar='OUT', help='our checkpoint: .pth, or .safetensors for the weights alone')
    result.add_argument('--debug', action='store_true', help='show the stack trace of an error')
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg convert` and tools/convert_checkpoint.py; returns the exit code."""
    args = parser().parse_args(argv)
    return console.run(lambda: _convert(args), debug=args.debug)


def _convert(args: argparse.Namespace) -> None:
    from mmreg.converters.files import convert_file, found_family
    from mmreg.plugins import register_all_modules

    register_all_modules()
    family = found_family(args.family, args.source)
    model, unused = convert_file(family, args.source, args.target)
    console.say(f'wrote {args.target} (family {family})')
    if unused:
        console.say(f'  left out {len(unused)} entries without use here: {", ".join(unused)}')
    for key, value in model.items():
        console.say(f'  model.{key} = {value}')
    if model and not args.target.endswith('.safetensors'):
        _say_how_to_run(args.target)


def _say_how_to_run(target: str) -> None:
    """The command for the file alone, and the config that trains or changes it."""
    from mmreg.registration.config_of_weights import config_of_weights

    console.say(f'  runs by: mmreg register FIXED MOVING -o OUT --checkpoint {target}')
    found = config_of_weights(target)
    if found is not None:
        config, options = found
        console.say(f'  its config: {config}' + (f' with --cfg-options {" ".join(options)}' if options else ''))
