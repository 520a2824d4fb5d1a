"""`mmreg template`: an unbiased template of a group of scans."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmreg.populations.template.settings import TemplateSettings
from mmreg.utils import console
from mmreg.utils.described import descriptions

from .shared.engine_options import engine_of
from .shared.engine_parts import import_what_registers
from .shared.group_options import GroupProgress, add_group, group_options, in_few_words, names_of, settings_of
from .shared.options import Parser, add_described
from .shared.running import begin, stopping_on_sigterm

EXAMPLES = """examples:
  mmreg template scan1.nii.gz scan2.nii.gz scan3.nii.gz -o out
  mmreg template scans.csv -o out --rounds 5 --average median --symmetric
  mmreg template scans.csv -o out --engine dask --workers 8
a table of scans has the columns image and, where there are, scan_id, labels, mask, weight, frame, series
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg template`."""
    parser = Parser(
        prog='mmreg template',
        description='Build an unbiased template: rounds of registering all scans to it, averaging them in it, and '
        'moving it to the mean of their shapes.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('scans', nargs='+', metavar='SCAN', help='image files, or one table (CSV)')
    parser.add_argument('--labels', nargs='+', metavar='FILE', help='label maps of the images, in their order')
    names = [field.name for field, _ in descriptions(TemplateSettings)]
    add_described(parser.add_argument_group('the template'), TemplateSettings, names)
    add_group(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg template`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _template(args), debug=args.debug)


def _template(args: argparse.Namespace) -> int:
    begin(f'building a template of {in_few_words(args.scans)}')
    import_what_registers()
    from mmreg.populations.scans import read_scans
    from mmreg.populations.template.build import build_template, stages

    settings, options, names = settings_of(TemplateSettings, args), group_options(args), names_of(args)
    settings.check()
    scans = read_scans(args.scans, args.labels)
    total = len(stages(settings)) * len(scans)
    with stopping_on_sigterm(), engine_of(args) as engine, GroupProgress(total, args.debug) as progress:
        result = build_template(
            scans, args.out, settings, options, engine=engine, plugins=args.plugin, label_names=names,
            told=lambda stage, outcome: progress.advance(
                f'round {stage.number + 1} of {stage.of}, {stage.kind}', outcome
            ),
        )  # fmt: skip
    columns = ('round', 'kind', 'scans', 'shape change mm', 'intensity change %')
    console.table(
        columns,
        [
            (row['round'], row['kind'], row['scans'], f'{row["shape_change_mm"]:.3g}',
             f'{row["intensity_change_percent"]:.3g}')
            for row in result.rows
        ],
    )  # fmt: skip
    for warning in result.warnings:
        console.say(f'warning: {warning}')
    console.say(f'written to {args.out}: template.nii.gz, transforms, tables, index.html')
    return 1 if result.failures else 0


if __name__ == '__main__':
    sys.exit(main())
