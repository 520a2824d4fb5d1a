"""`mmreg evaluate`: score displacement fields the way a challenge does."""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mmreg.errors import DataError
from mmreg.utils import console
from mmreg.utils.choices import CHALLENGES

from .shared.case_progress import track
from .shared.options import add_debug

if TYPE_CHECKING:
    from mmreg.evaluation.challenge.config import EvaluationConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Score a submission; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: evaluate(options), debug=options.debug)


def evaluate(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    from mmreg.evaluation.challenge.config import find_configs, read_config
    from mmreg.evaluation.challenge.editions import edition_of
    from mmreg.evaluation.challenge.scorer import rows, score
    from mmreg.evaluation.challenge.units import UnitWatch
    from mmreg.io.tables import write_json, write_rows

    truth = Path(options.ground_truth)
    paths = [Path(path) for path in options.config] or find_configs(truth, options.challenge)
    configs = [read_config(path) for path in paths]
    watch = UnitWatch()
    with unpacked(options.submission) as submission:
        result = score(
            submission,
            truth,
            configs,
            masked=options.masked,
            own_conventions=options.correct,
            edition=edition_of(configs, options.challenge),
            watch=watch,
            track=_progress,
        )
    if options.output:
        # NaN as the challenge writes it: a label that cannot be scored.
        write_json(options.output, result, indent=4, keep_nan=True)
    if options.csv:
        write_rows(options.csv, rows(result, configs))
    _show(result, configs, options.correct)
    for warning in watch.warnings():
        console.say(f'warning: {warning}')


@contextmanager
def unpacked(submission: str) -> Iterator[Path]:
    """The folder with the fields; an archive is unpacked for as long as it is needed."""
    path = Path(submission)
    if path.suffix != '.zip':
        yield path
        return
    with TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f'{path}: found something that is not a whole zip archive ({error})') from error
        yield Path(folder)


def _show(result: dict[str, Any], configs: Sequence[EvaluationConfig], correct: bool) -> None:
    lines = [
        (name, *(f'{value:.6g}' for value in (entry['mean'], entry['std'], entry['30'])))
        for name, entry in result['aggregates'].items()
    ]
    conventions = 'own conventions' if correct else "the challenge's conventions"
    title = f'{result["name"]}: {len(result["cases"])} cases, {conventions}{_about_labels(configs)}'
    console.table(('measure', 'mean', 'SD', '30 % quantile'), lines, title=title)


def _about_labels(configs: Sequence[EvaluationConfig]) -> str:
    """What a title says about labels; nothing where none are scored."""
    scored = [method.labels for config in configs for method in config.methods if method.labels]
    if not scored:
        return ''
    background = 'label 0 counts too' if any(0 in labels for labels in scored) else 'without label 0'
    return f', labels warped nearest, {background}'


def _progress(work: Sequence[Any]) -> Iterable[Any]:
    return track(work, 'scoring')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg evaluate', description=__doc__)
    parser.add_argument('submission', help='folder with disp_<fixed>_<moving>.nii.gz or .npz files, or a zip of it')
    parser.add_argument('ground_truth', help='folder with images, labels, landmarks and the evaluation config')
    parser.add_argument('--config', action='append', default=[], help='evaluation config; may be given several times')
    parser.add_argument(
        '--challenge', choices=CHALLENGES, help='whose configs and conventions; default: by what is there'
    )
    parser.add_argument(
        '--masked', action=argparse.BooleanOptionalAction, help='regularity inside the fixed mask; default: the config'
    )
    parser.add_argument('--unmasked', dest='masked', action='store_false', help='regularity in the whole volume')
    parser.add_argument('--correct', action='store_true', help='our conventions instead of the published ones')
    parser.add_argument('-o', '--output', help='JSON in the form of the challenge')
    parser.add_argument('--csv', help='one row per case, measure and label, for compare_results.py')
    add_debug(parser)
    return parser
