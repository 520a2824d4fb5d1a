"""`mmreg statistics`: local volumes of a cohort in the space of its template."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmreg.registration.options import RunOptions
from mmreg.utils import console

from .shared.group_options import StepProgress, in_few_words, names_of
from .shared.options import Parser, add_debug, add_described, check_folder
from .shared.running import begin, stopping_on_sigterm

EXAMPLES = """examples:
  mmreg template scans.csv -o template
  mmreg statistics template -o statistics --groups groups.csv --smooth 4
groups.csv has the columns scan_id and group
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg statistics`."""
    parser = Parser(
        prog='mmreg statistics',
        description='Jacobian maps of all scans of a template: mean, standard deviation, volumes of regions, and the '
        'difference of two groups with p-values that are corrected for all voxels (permutations).',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('template', metavar='DIR', help='folder that `mmreg template` wrote')
    parser.add_argument('--out', '-o', metavar='DIR', required=True, help='folder for the results; a rerun goes on')
    parser.add_argument('--groups', metavar='FILE', help='table with the columns scan_id and group, of two groups')
    parser.add_argument('--mask', metavar='FILE', help="what counts, on the template's grid (default: what it shows)")
    parser.add_argument('--regions', metavar='FILE', help="label map on its grid (default: the template's labels)")
    parser.add_argument('--smooth', type=float, default=0.0, metavar='MM',
                        help='standard deviation of a Gaussian on the logarithms, mm (default: 0)')  # fmt: skip
    parser.add_argument('--permutations', type=int, default=1000, metavar='N',
                        help='of the test (default: 1000; all of them where there are no more)')  # fmt: skip
    parser.add_argument('--seed', type=int, default=0, help='of the permutations (default: 0)')
    add_described(parser, RunOptions, ['label_names'])
    add_debug(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg statistics`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _statistics(args), debug=args.debug)


def _statistics(args: argparse.Namespace) -> None:
    begin(f'reading {in_few_words([args.template])}')
    from mmreg.io.label_tables import label_title
    from mmreg.populations.statistics.compare import cohort_statistics, read_groups
    from mmreg.populations.statistics.volumes import TemplateSpace

    check_folder(args.out, 'out')
    names = names_of(args)
    space = TemplateSpace.read(args.template, args.mask, args.regions)
    groups = None if args.groups is None else read_groups(args.groups)
    with stopping_on_sigterm(), StepProgress() as progress:
        found = cohort_statistics(
            space,
            args.out,
            groups,
            smooth_mm=args.smooth,
            permutations=args.permutations,
            seed=args.seed,
            label_names=names,
            told=progress.tell,
        )
    if found is not None:
        rows = [
            (
                label_title(line['label'], names),
                f'{line["difference_percent"]:.3g}',
                f'{line["t"]:.3g}',
                f'{line["p_fwe"]:.3g}',
            )
            for line in found.regions
        ]
        console.table(('label', f'{found.names[1]} - {found.names[0]}, %', 't', 'p'), rows)
        console.say(f'smallest p over all voxels: {float(found.p.min()):.4g} ({found.permutations} permutations)')
    console.say(f'written to {args.out}: jacobians, mean.nii.gz, sd.nii.gz, regions.csv, index.html')


if __name__ == '__main__':
    sys.exit(main())
