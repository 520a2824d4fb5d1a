"""What the models of configs cost, as one table: parameters, multiply-adds, memory, time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmreg.errors import ConfigError
from mmreg.utils import console

from .shared.case_progress import track
from .shared.options import add_common, whole

if TYPE_CHECKING:
    from mmreg.evaluation.analysis.costs import CostLine


def main(argv: Sequence[str] | None = None) -> int:
    """Print and write the table; returns the exit code, 1 where no config could be analysed."""
    options = build_parser().parse_args(argv)
    return console.run(lambda: analyse(options), debug=options.debug)


def analyse(options: argparse.Namespace) -> int:
    """Do what the parsed ``options`` say."""
    from mmreg.evaluation.analysis.costs import HEADER, WRITERS, Question, cells, line_of
    from mmreg.plugins import register_all_modules
    from mmreg.registration.model import choose_device
    from mmreg.utils.config import load_config
    from mmreg.utils.shipped import config_folder

    outputs = [Path(name) for name in options.out]
    for path in outputs:
        if path.suffix not in WRITERS:
            raise ConfigError(f'--out {path} ends in {path.suffix!r}, expected one of {", ".join(WRITERS)}.')
    register_all_modules(options.plugin)
    paths = [Path(name) for name in options.configs] or sorted(config_folder().glob('*.py'))
    for name in options.configs:
        load_config(name)  # before anything is written
    options.device = str(choose_device(options.device))
    names = ('size', 'batch', 'repeats', 'device', 'meta', 'cfg_options', 'debug')
    ask = Question(**{name: getattr(options, name) for name in names})
    lines: list[CostLine] = []
    for path in track(paths, 'analysing'):
        lines.append(line_of(path, ask))
        for output in outputs:  # after every config: a run that is stopped keeps what it has
            WRITERS[output.suffix](output, lines)
    console.table(HEADER, [cells(line) for line in lines])
    return 1 if all(line.parameters is None for line in lines) else 0


def build_parser() -> argparse.ArgumentParser:
    """Options of ``mmreg complexity``."""
    parser = argparse.ArgumentParser(prog='mmreg complexity', description=__doc__)
    parser.add_argument('configs', nargs='*', help='configs to analyse; all that come with mmreg by default')
    parser.add_argument('--meta', action='store_true', help='count only: needs no memory and no time')
    parser.add_argument('--size', nargs='+', type=whole(), metavar='N', help="voxels per axis; default: the data set's")
    parser.add_argument('--batch', type=whole(), default=1, help='pairs per batch (default 1)')
    parser.add_argument('--repeats', type=whole(), default=3, help='timed runs behind one that is not (default 3)')
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: the GPU where there is one)')
    parser.add_argument(
        '-o',
        '--out',
        action='append',
        default=[],
        metavar='FILE',
        help='write .csv, .json or .md, or a figure (.png); repeatable',
    )
    add_common(parser)
    return parser
