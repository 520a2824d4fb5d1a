"""`mmreg propagate`: labels of atlases carried to a scan."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.populations.propagation.settings import PropagationSettings
from mmreg.utils import console
from mmreg.utils.described import descriptions

from .shared.engine_options import engine_of
from .shared.engine_parts import import_what_registers
from .shared.group_options import GroupProgress, add_group, group_options, in_few_words, names_of, settings_of
from .shared.options import Parser, add_described
from .shared.running import begin, stopping_on_sigterm

EXAMPLES = """examples:
  mmreg propagate scan.nii.gz --atlases atlases.csv -o out
  mmreg propagate scan.nii.gz --atlases a.nii.gz b.nii.gz --labels a_seg.nii.gz b_seg.nii.gz -o out --fusion majority
  mmreg propagate --leave-one-out --atlases atlases.csv -o out --fusion majority joint
a table of atlases has the columns image, labels and, where there are, scan_id, mask, frame, series
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg propagate`."""
    parser = Parser(
        prog='mmreg propagate',
        description='Multi-atlas segmentation: register atlases to a scan, warp their labels, fuse them.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('target', nargs='?', metavar='TARGET', help='the scan without labels')
    parser.add_argument('--atlases', nargs='+', required=True, metavar='FILE', help='images, or one table (CSV)')
    parser.add_argument('--labels', nargs='+', metavar='FILE', help='label maps of the images, in their order')
    parser.add_argument(
        '--leave-one-out', action='store_true', help='no target: each atlas in turn is the scan, and is scored (Dice)'
    )
    names = [field.name for field, _ in descriptions(PropagationSettings)]
    add_described(parser.add_argument_group('fusion'), PropagationSettings, names)
    add_group(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg propagate`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _propagate(args), debug=args.debug)


def _propagate(args: argparse.Namespace) -> int:
    if bool(args.target) == args.leave_one_out:
        raise ConfigError('found neither or both of TARGET and --leave-one-out, expected one of them.')
    to = in_few_words([args.target]) if args.target else 'each other'
    begin(f'carrying labels of {in_few_words(args.atlases)} to {to}')
    import_what_registers()
    from mmreg.io.label_tables import label_title
    from mmreg.populations.propagation.leave_one_out import leave_one_out, mean_dice
    from mmreg.populations.propagation.propagate import Work, carried, check_atlases, check_contrast
    from mmreg.populations.scans import read_scans

    settings, options, names = settings_of(PropagationSettings, args), group_options(args), names_of(args)
    settings.check()
    atlases = read_scans(args.atlases, args.labels, least=2 if args.leave_one_out else 1)
    check_atlases(atlases)
    target = None if args.leave_one_out else read_scans([args.target], least=1)[0]
    if target is not None and target.geometry.ndim != atlases[0].geometry.ndim:
        raise ConfigError(
            f'{args.target}: found {target.geometry.ndim}-D, expected the dimension of the atlases, '
            f'{atlases[0].geometry.ndim}-D.'
        )
    if target is not None:
        check_contrast(target, atlases, settings)
    if target is None:
        total = len(atlases) * settings.registrations(len(atlases) - 1)
    else:
        total = settings.registrations(len(atlases))
    with stopping_on_sigterm(), engine_of(args) as engine, GroupProgress(total, args.debug) as progress:
        work = Work(settings, options, engine, progress.advance, tuple(args.plugin), names)
        if target is None:
            lines = leave_one_out(atlases, args.out, work)
        else:
            result = carried(target, atlases, Path(args.out), work)
    if target is None:
        rows = [(fusion, label_title(label, names), f'{dice:.4f}') for fusion, label, dice in mean_dice(lines)]
        console.table(('fusion', 'label', 'Dice'), rows)
        console.say(f'written to {args.out}: leave_one_out.csv, index.html, and a folder per atlas')
        return 0
    console.table(
        ('atlas', 'similarity', 'used', 'agreement'),
        [(x['scan_id'], _text(x.get('similarity')), x['used'], _text(x.get('agreement'))) for x in result.lines],
    )
    for warning in result.warnings:
        console.say(f'warning: {warning}')
    console.say(f'written to {args.out}: labels.nii.gz, disagreement.nii.gz, atlases.csv, index.html')
    return 1 if any(line.get('reason') for line in result.lines) else 0


def _text(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'


if __name__ == '__main__':
    sys.exit(main())
