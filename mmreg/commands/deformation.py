"""Analyse deformation fields: smoothness, complexity, jumps across region borders; numbers and figures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmreg.errors import ConfigError
from mmreg.registration.options import VIEW_NAMES
from mmreg.utils import console

from .shared.case_progress import track
from .shared.options import add_debug

if TYPE_CHECKING:
    from mmreg.io.tables import Row


def main(argv: Sequence[str] | None = None) -> int:
    """Analyse the given fields; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: analyse(options), debug=options.debug)


def analyse(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    from mmreg.io.tables import write_json, write_rows
    from mmreg.visualization.field_report import report_field

    if options.labels and len(options.labels) not in (1, len(options.fields)):
        raise ConfigError(
            f'--labels names {len(options.labels)} files, expected one, or one per field ({len(options.fields)}).'
        )
    labels = list(options.labels or [None])
    jobs = list(zip(options.fields, labels * (len(options.fields) if len(labels) == 1 else 1)))
    out = Path(options.out)
    rows: list[Row] = []
    for file, label_file in track(jobs, 'analysing'):
        rows += report_field(Path(file), out, label_file, options.reference, options.maps, options.view)
    write_rows(out / 'deformation.csv', rows)
    whole = [row for row in rows if not row.item]
    write_json(out / 'deformation.json', {'settings': vars(options), 'rows': [row._asdict() for row in rows]})
    console.table(('field', 'measure', 'value'), [(r.case_id, r.metric, f'{r.value:.5g}') for r in whole])
    console.say(f'tables and figures are in {out}')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg deformation', description=__doc__)
    parser.add_argument('fields', nargs='+', help='ITK field images (displacement.nii.gz) or disp_* challenge files')
    parser.add_argument('-l', '--labels', nargs='+', help='label maps of the fixed images: one, or one per field')
    parser.add_argument('-r', '--reference', help='fixed image that gives challenge files their geometry')
    parser.add_argument('-o', '--out', required=True, help='folder for the tables and figures')
    parser.add_argument('--maps', action='store_true', help='write the Jacobian determinants as NIfTI too')
    parser.add_argument(
        '--view',
        choices=VIEW_NAMES,
        default=VIEW_NAMES[0],
        help='which way the figure shows the patient (default: %(default)s)',
    )
    add_debug(parser)
    return parser
