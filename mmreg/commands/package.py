"""`mmreg package`: pack predicted fields for a challenge, or check an archive before it is uploaded."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreg.errors import ConfigError
from mmreg.utils import console
from mmreg.utils.choices import PACKAGES

from .shared.case_progress import track
from .shared.options import add_debug, whole

if TYPE_CHECKING:
    from mmreg.evaluation.challenge.units import UnitWatch


def main(argv: Sequence[str] | None = None) -> int:
    """Package or check a submission; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: run(options), debug=options.debug)


def run(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    from mmreg.evaluation.challenge.package import package, validate
    from mmreg.evaluation.challenge.profiles import PROFILES, wanted_pairs, wanted_shape
    from mmreg.evaluation.challenge.units import UnitWatch

    profile = PROFILES[options.challenge]
    pairs = wanted_pairs(options.dataset, options.split)
    given = tuple(options.shape) if options.shape else None
    shapes = {pair: given or wanted_shape(options.dataset, pair, options.data_root) for pair in pairs}
    source = Path(options.predictions)
    if source.suffix == '.zip':
        watch = UnitWatch()
        validate(source, profile, shapes, watch=watch)
        _warn(watch)
        console.say(f'{source}: {len(shapes)} fields, complete and valid for {options.challenge}')
        return
    if not options.output:
        raise ConfigError('--output is missing, expected the name of the zip file to write.')
    watch = UnitWatch()
    package(source, options.output, profile, shapes, track=_progress, watch=watch)
    _warn(watch)
    size = Path(options.output).stat().st_size / 2**20
    console.say(f'{options.output}: {len(shapes)} fields, {size:.1f} MiB, valid for {options.challenge}')


def _warn(watch: UnitWatch) -> None:
    for warning in watch.warnings():
        console.say(f'warning: {warning}')


def _progress(pairs: Sequence[Any]) -> Iterable[Any]:
    return track(pairs, 'packing')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg package', description=__doc__)
    parser.add_argument('predictions', help='folder of predictions, or a .zip to check')
    parser.add_argument('--challenge', choices=PACKAGES, required=True)
    parser.add_argument('--dataset', required=True, help='wanted pairs: JSON, or folder of pickled pairs')
    parser.add_argument('--split', choices=('validation', 'test'), help='default: validation, else test')
    parser.add_argument('--data-root', help='folder of the images, for their shapes; default: that of the JSON')
    parser.add_argument('--shape', nargs='+', type=whole(), help='spatial shape of all fields, where no image tells')
    parser.add_argument('-o', '--output', help='zip file to write')
    add_debug(parser)
    return parser
