"""`mmreg data`: where the data sets come from, whether a folder holds one, and one made from what its site ships."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, DataError
from mmreg.utils import console

from .shared.case_progress import track
from .shared.options import add_common


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg data`."""
    parser = argparse.ArgumentParser(
        prog='mmreg data', description='Data sets: list them, check a folder, prepare one.'
    )
    doors = parser.add_subparsers(dest='what', required=True, metavar='{list,check,prepare}')
    listing = doors.add_parser('list', help='where each data set comes from and how its folder looks')
    listing.add_argument('name', nargs='?', help='only this one')
    check = doors.add_parser('check', help='verify a folder, and say which configs run on it')
    check.add_argument('name', help='data set, such as LUMIR (`mmreg data list`)')
    check.add_argument('root', nargs='?', help='its folder (default: MMREG_DATA/NAME)')
    check.add_argument('--deep', action='store_true', help='decode every file instead of reading headers')
    prepare = doors.add_parser('prepare', help='make the folder of a data set from what its own site ships')
    prepare.add_argument('name', help='data set: ACDC, MMs or MMs2')
    prepare.add_argument('source', help='folder as distributed')
    prepare.add_argument('target', help='folder to make, such as data/ACDC')
    for door in (listing, check, prepare):
        add_common(door, config_options=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg data`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: {'list': _list, 'check': _check, 'prepare': _prepare}[args.what](args), debug=args.debug)


def _list(args: argparse.Namespace) -> None:
    from mmreg.datasets.catalogue import SOURCES, find_source

    for source in (find_source(args.name),) if args.name else SOURCES:
        console.say(f'{source.title}\n{"  ".join(source.links) or "from you"}\n{source.tree.rstrip()}\n')
    console.say('These folders lie below MMREG_DATA (default: data). docs/datasets.md tells more.')


def _prepare(args: argparse.Namespace) -> None:
    from mmreg.datasets.catalogue import find_source
    from mmreg.datasets.preparing import PREPARATIONS

    name = find_source(args.name).name
    if name not in PREPARATIONS:
        raise ConfigError(
            f'{name} needs no preparation, expected one of {", ".join(PREPARATIONS)}; mmreg data list {name} shows how '
            'its folder looks.'
        )
    source, target = Path(args.source), Path(args.target)
    if not source.is_dir():
        raise DataError(f'{source}: there is no such folder, expected {name} as its site ships it.')
    count = PREPARATIONS[name](source, target, lambda work: track(work, f'preparing {name}'))
    console.say(f'{target}: {count} subjects of {name}; mmreg data check {name} {target} tells what is in it')


def _check(args: argparse.Namespace) -> int:
    """Take the inventory of every loader that reads the folder.

    Returns:
        0, or 1 where no config can work with the folder.
    """
    from mmreg.datasets.catalogue import find_source
    from mmreg.datasets.inventory import STAGES, Inventory, take_inventory
    from mmreg.plugins import register_all_modules

    register_all_modules(args.plugin)
    source = find_source(args.name)
    root = Path(args.root or Path(os.environ.get('MMREG_DATA', 'data')) / source.name)
    if not root.is_dir():
        places = f' from {" or ".join(source.links)}' if source.links else ''
        raise DataError(f'{root}: there is no such folder, expected {source.title}{places}:{source.tree.rstrip()}')
    found: dict[str, Inventory] = {}
    verdicts: dict[str, list[str]] = {}
    for name, loaders in _readers(source.name, root):
        problems = []
        for stage in STAGES:
            config = loaders.get(stage)
            if config is None:
                continue
            key = repr(config)
            if key not in found:
                found[key] = take_inventory(config, args.deep)
                if not found[key].problem:
                    console.say(f'{config["type"]}, {stage}: {found[key].words()}')
            if found[key].problem:
                problems.append(found[key].problem)
        verdicts.setdefault('\n'.join(dict.fromkeys(problems)), []).append(name)
    for problem, names in verdicts.items():
        console.say(f'\n{"cannot run" if problem else "can run"}: {", ".join(names)}')
        if problem:
            console.say('\n'.join(f'  {line}' for line in problem.splitlines()))
    return 0 if '' in verdicts else 1


def _readers(name: str, root: Path) -> list[tuple[str, dict[str, Mapping[str, Any]]]]:
    """Configs that read the folder of this name, with the data sets of their loaders, moved to ``root``."""
    from mmreg.datasets.inventory import STAGES
    from mmreg.utils.config import load_config
    from mmreg.utils.config_keys import mentions
    from mmreg.utils.merge import move_data_root
    from mmreg.utils.quiet import quiet
    from mmreg.utils.shipped import config_folder

    readers = []
    for path in sorted(config_folder().glob('*.py')):
        if not mentions(path, f'/{name}'):
            continue  # reading a config takes longer than reading its text
        with quiet():
            cfg = load_config(path)
        loaders = {}
        for stage in STAGES:
            node = (cfg.get(f'{stage}_dataloader') or {}).get('dataset')
            place = '' if node is None else str(node.get('data_root', ''))
            if node is not None and Path(place).name == name:
                move_data_root(node, place, str(root))
                loaders[stage] = node.to_dict()
        if loaders:
            readers.append((path.stem, loaders))
    return readers
