"""`mmreg bids`: registers a data set in BIDS, subject by subject, and writes derivatives."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreg.errors import ConfigError, DataError
from mmreg.registration.options import RunOptions
from mmreg.utils import console

from .shared.engine_parts import import_what_registers
from .shared.options import Parser, add_common, add_described
from .shared.run_options import PROGRESS, run_options
from .shared.running import begin, stopping_on_sigterm

if TYPE_CHECKING:
    from mmreg.registration.bids import BidsPair

EXAMPLES = """examples:
  mmreg bids data derivatives/mmreg participant
  mmreg bids data derivatives/mmreg participant --participant-label 01 02 --filter suffix=T2w run=1
  mmreg bids data derivatives/mmreg participant --template mni.nii.gz --space MNI152NLin2009cAsym
"""
#: Options of a run that a data set has a say in, or that need files which it does not name.
_OTHERS = ('model', 'checkpoint', 'refine', 'cfg_options', 'use_landmarks', 'landmark_frame', 'label_sets', 'labels')


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg bids`."""
    parser = Parser(
        prog='mmreg bids',
        description='Register every image that a filter names to the first one of its subject, or all of them to a '
        'template, and write the results as a BIDS data set of derivatives.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('bids_dir', metavar='BIDS_DIR', help='the data set')
    parser.add_argument('out', metavar='OUT', help='folder of the derivatives')
    parser.add_argument('level', choices=('participant',), help='level of the analysis, as BIDS apps have it')
    parser.add_argument(
        '--participant-label', nargs='+', default=[], metavar='LABEL', help='these subjects only, with or without sub-'
    )
    parser.add_argument(
        '--filter', nargs='+', default=['suffix=T1w'], metavar='NAME=VALUE',
        help='entities of the images: suffix, datatype, session, acquisition, run ... (default: suffix=T1w)',
    )  # fmt: skip
    parser.add_argument('--template', metavar='FILE', help='image that all are registered to')
    parser.add_argument('--space', metavar='LABEL', default='template', help='label of its space in the file names')
    parser.add_argument('--overwrite', action='store_true', help='register finished images again')
    add_described(parser, RunOptions, RunOptions.names(but=_OTHERS), defaults={'affine': 'auto'})
    parser.add_argument('--progress', choices=PROGRESS, default='bar', help='json: one JSON document per step')
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg bids`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _bids(args), debug=args.debug)


def _bids(args: argparse.Namespace) -> int:
    _check(args)
    if args.progress == 'bar':
        begin(f'looking at {args.bids_dir}')
    import_what_registers()
    from mmreg.io.bids import parse_filter
    from mmreg.registration.bids import describe, find_pairs
    from mmreg.registration.register import make_pipeline

    pairs, single = find_pairs(
        args.bids_dir, parse_filter(args.filter), args.participant_label, args.template, args.space
    )
    if args.progress == 'bar':
        for subject in single:
            console.say(f'sub-{subject}: one image, nothing to register it to')
    if not pairs:
        raise DataError(f'{args.bids_dir}: found one image per subject, expected more, or --template FILE')
    if args.plugin:
        from mmreg.plugins import register_all_modules

        register_all_modules(args.plugin)
    pipeline = make_pipeline(run_options(args))
    describe(Path(args.out), args.bids_dir)
    with stopping_on_sigterm():
        return _register(args, pipeline, pairs)


def _check(args: argparse.Namespace) -> None:
    """What cannot be said in a file name, or would write into the data."""
    if not args.space.isalnum():
        raise ConfigError(f'--space {args.space}: expected letters and digits, as labels of BIDS are.')
    if args.template and not Path(args.template).is_file():
        raise DataError(f'{args.template}: found no such file, expected an image')
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise DataError(f'{args.out}: found a file, expected the name of a folder for the derivatives')
    if Path(args.out).resolve() == Path(args.bids_dir).resolve():
        raise ConfigError(f'OUT is the data set itself ({args.out}), expected a folder of its own for the derivatives.')


def _register(args: argparse.Namespace, pipeline: Any, pairs: Sequence[BidsPair]) -> int:
    """Every pair that is not done; a failure stops no other."""
    from mmreg.registration.alignment import read_affine
    from mmreg.registration.bids import is_done, request, write_pair
    from mmreg.registration.cohort.cases import CohortCase
    from mmreg.registration.cohort.outcome import Outcome, failed

    from .shared.json_progress import JsonProgress
    from .shared.run_progress import CohortProgress

    out, affine = Path(args.out), read_affine(args.affine)
    settings = {**pipeline.settings(), 'options': run_options(args).described_values()}
    outcomes: list[Outcome] = []
    shown = JsonProgress(len(pairs)) if args.progress == 'json' else CohortProgress(len(pairs), debug=args.debug)
    with shown as progress:
        for pair in pairs:
            images = {'image': str(pair.fixed)}, {'image': str(pair.moving.path)}
            case = CohortCase(pair.case_id, *images)
            try:
                wanted = request(pair, settings)
                if not args.overwrite and is_done(out, pair, wanted):
                    outcome = Outcome(case, 'skipped')
                else:
                    result = pipeline(
                        str(pair.fixed), str(pair.moving.path), case_id=pair.case_id, affine=affine,
                        watch=progress.watch,
                    )  # fmt: skip
                    write_pair(result, out, args.bids_dir, pair, wanted)
                    outcome = Outcome(case, 'done', _line(case, result))
            except Exception as error:
                outcome = failed(case, error)
            outcomes.append(outcome)
            progress.advance(outcome)
    _write_failures(out, outcomes)
    return progress.summary(outcomes, out)


def _line(case: Any, result: Any) -> dict[str, Any]:
    from mmreg.registration.cohort.outcome import result_line

    return result_line(case, {**result.provenance, 'metrics': result.metrics, 'warnings': result.warnings})


def _write_failures(out: Path, outcomes: Sequence[Any]) -> None:
    from mmreg.registration.cohort.shards import Shard
    from mmreg.registration.cohort.tables import CohortTables

    CohortTables(out, with_results=False).write(outcomes, Shard())
