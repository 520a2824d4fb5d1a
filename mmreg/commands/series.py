"""`mmreg series`: the frames of a series brought together."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.populations.series.settings import SeriesSettings
from mmreg.utils import console
from mmreg.utils.described import descriptions

from .shared.engine_options import engine_of
from .shared.engine_parts import import_what_registers
from .shared.group_options import GroupProgress, add_group, group_options, in_few_words, names_of, settings_of
from .shared.options import Parser, add_described
from .shared.running import begin, stopping_on_sigterm

EXAMPLES = """examples:
  mmreg series bold.nii.gz -o out
  mmreg series cine.nii.gz -o out --motion deformable --to previous --cycle --labels ed_labels.nii.gz
  mmreg series t0.nii.gz t1.nii.gz t2.nii.gz -o out --to mean
  mmreg series visits.csv -o out --longitudinal
visits.csv has the columns image and, where there are, scan_id, labels, date (YYYY-MM-DD)
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg series`."""
    parser = Parser(
        prog='mmreg series',
        description='Bring the frames of a series together, say how they moved, carry labels and points along.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('frames', nargs='+', metavar='FRAMES', help='one 4-D file, a table (CSV), or a file per frame')
    names = [field.name for field, _ in descriptions(SeriesSettings)]
    add_described(parser.add_argument_group('the series'), SeriesSettings, names)
    parser.add_argument(
        '--longitudinal', action='store_true',
        help='visits of one person: a template between them, and how volumes changed since the first visit',
    )  # fmt: skip
    add_group(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg series`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _series(args), debug=args.debug)


def _series(args: argparse.Namespace) -> int:
    begin(f'bringing {in_few_words(args.frames)} together')
    import_what_registers()
    from mmreg.populations.series.align import align_series
    from mmreg.populations.series.frames import read_series

    settings, options, names = settings_of(SeriesSettings, args), group_options(args), names_of(args)
    if args.longitudinal:
        _refuse_unused(settings)
        return _visits(args, options)
    settings.check_options(options)
    with stopping_on_sigterm():
        series = read_series(args.frames, Path(args.out))
        settings.check(len(series.frames))
        extra = len(series.frames) * settings.rounds if settings.to == 'mean' else int(settings.cycle)
        total = len(series.frames) - 1 + extra
        with engine_of(args) as engine, GroupProgress(total, args.debug) as progress:
            result = align_series(
                series,
                args.out,
                settings,
                options,
                engine=engine,
                told=progress.advance,
                plugins=args.plugin,
                label_names=names,
            )
    moved = [row['from_reference_mm'] for row in result.rows if 'from_reference_mm' in row]
    if moved:
        console.say(f'{len(moved)} frames; from the reference {sum(moved) / len(moved):.3g} mm on average, '
                    f'{max(moved):.3g} mm at most')  # fmt: skip
    if result.drift_mm is not None:
        console.say(f'drift after one turn of the cycle: {result.drift_mm:.3g} mm on average')
    for warning in result.warnings:
        console.say(f'warning: {warning}')
    for name, reason in result.failures.items():
        console.say(f'failed: {name}: {reason}')
    console.say(f'written to {args.out}: aligned.nii.gz, mean.nii.gz, motion.csv, transforms, index.html')
    return 1 if result.failures else 0


def _refuse_unused(settings: SeriesSettings) -> None:
    """Visits have none of the settings of a series."""
    given = [field.name for field, _ in descriptions(SeriesSettings) if getattr(settings, field.name) != field.default]
    if given:
        raise ConfigError(
            f'--{given[0]} was given with --longitudinal, expected none of the options of a series; labels and dates '
            'of visits stand in their table.'
        )


def _visits(args: argparse.Namespace, options: Any) -> int:
    from mmreg.io.label_tables import label_title
    from mmreg.populations.scans import read_scans
    from mmreg.populations.series.longitudinal import within_subject
    from mmreg.populations.template.build import stages
    from mmreg.populations.template.settings import TemplateSettings

    visits, names = read_scans(args.frames), names_of(args)
    total = len(stages(TemplateSettings(rounds=3))) * len(visits)
    with stopping_on_sigterm(), engine_of(args) as engine, GroupProgress(total, args.debug) as progress:
        result = within_subject(
            visits, args.out, options, engine=engine, plugins=args.plugin, label_names=names,
            told=lambda stage, outcome: progress.advance(f'round {stage.number + 1} of {stage.of}', outcome),
        )  # fmt: skip
    rows = [
        (x['visit'], label_title(x['label'], names), f'{x["volume_ml"]:.5g}', f'{x["change_percent"]:.3g}',
         '-' if x['change_percent_per_year'] is None else f'{x["change_percent_per_year"]:.3g}')
        for x in result.lines
    ]  # fmt: skip
    console.table(('visit', 'label', 'ml', 'change %', '% per year'), rows)
    for name, reason in result.failures.items():
        console.say(f'failed: {name}: {reason}')
    console.say(f'written to {args.out}: template, change, change.csv, index.html')
    return 1 if result.failures else 0


if __name__ == '__main__':
    sys.exit(main())
