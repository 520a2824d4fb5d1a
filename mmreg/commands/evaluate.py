"""`mmreg evaluate`: score displacement fields the way a challenge does."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmreg.evaluation.challenge.config import CHALLENGES, find_configs, read_config
from mmreg.evaluation.challenge.scorer import rows, score
from mmreg.io.tables import write_json, write_rows
from mmreg.utils import console

from .shared.case_progress import track


def main(argv: Sequence[str] | None = None) -> int:
    """Score a submission; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: evaluate(options), debug=options.debug)


def evaluate(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    truth = Path(options.ground_truth)
    paths = [Path(path) for path in options.config] or find_configs(truth, options.challenge)
    result = score(
        options.submission,
        truth,
        [read_config(path) for path in paths],
        masked=options.masked,
        own_conventions=options.correct,
        track=_progress,
    )
    if options.output:
        # NaN as the challenge writes it: a label that cannot be scored.
        write_json(options.output, result, indent=4, keep_nan=True)
    if options.csv:
        write_rows(options.csv, rows(result))
    _show(result, options.correct)


def _show(result: dict[str, Any], correct: bool) -> None:
    lines = [
        (name, *(f'{value:.6g}' for value in (entry['mean'], entry['std'], entry['30'])))
        for name, entry in result['aggregates'].items()
    ]
    conventions = 'own conventions' if correct else "the challenge's conventions"
    title = f'{result["name"]}: {len(result["cases"])} cases, {conventions}, labels warped nearest, no background'
    console.table(('measure', 'mean', 'SD', '30 % quantile'), lines, title=title)


def _progress(work: Sequence[Any]) -> Iterable[Any]:
    return track(work, 'scoring')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg evaluate', description=__doc__)
    parser.add_argument('submission', help='folder with disp_<fixed>_<moving>.nii.gz or .npz files')
    parser.add_argument('ground_truth', help='folder with images, labels, landmarks and the evaluation config')
    parser.add_argument('--config', action='append', default=[], help='evaluation config; may be given twice')
    parser.add_argument('--challenge', choices=tuple(CHALLENGES), help='whose config files to look for')
    parser.add_argument(
        '--masked', action=argparse.BooleanOptionalAction, help='regularity inside the fixed mask; default: the config'
    )
    parser.add_argument('--unmasked', dest='masked', action='store_false', help='regularity in the whole volume')
    parser.add_argument('--correct', action='store_true', help='our conventions instead of the published ones')
    parser.add_argument('-o', '--output', help='JSON in the form of the challenge')
    parser.add_argument('--csv', help='one row per case, measure and label, for compare_results.py')
    parser.add_argument('--debug', action='store_true', help='show the stack trace of an error')
    return parser
