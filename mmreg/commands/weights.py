"""`mmreg weights`: published weights by name: what there is, what they need, downloaded, checked, converted."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping, Sequence

from mmreg.errors import ConfigError
from mmreg.utils import console
from mmreg.zoo.entries import Entry
from mmreg.zoo.own import OwnWeights, own_weights
from mmreg.zoo.published import known

from .shared.options import add_debug

EXAMPLES = """examples:
  mmreg weights                                  what there is
  mmreg weights show symnet_oasis                one entry, with all that it needs
  mmreg weights get symnet_oasis                 download, check, convert
  mmreg weights add lkunet_ixi_n4 FILE           the same with a file that was got by hand
  mmreg register F.nii.gz M.nii.gz -o out --weights symnet_oasis
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg weights`."""
    parser = argparse.ArgumentParser(
        prog='mmreg weights',
        description="Weights by name: mmreg's own, which come with it, and published ones, which are downloaded "
        'from their authors when asked for and never shipped.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_debug(parser)
    doors = parser.add_subparsers(dest='door', metavar='{list,show,get,add,path}')
    shown = doors.add_parser('list', help='what there is (the default)')
    shown.add_argument('--json', action='store_true', help='print JSON')
    what = {'show': 'one entry in full', 'get': 'download, check and convert', 'path': 'where the converted file lies'}
    for door, text in what.items():
        doors.add_parser(door, help=text).add_argument('name', metavar='NAME')
    given = doors.add_parser('add', help='take a file that was got by hand')
    given.add_argument('name', metavar='NAME')
    given.add_argument('file', metavar='FILE')
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg weights`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _weights(args), debug=args.debug)


def _weights(args: argparse.Namespace) -> None:
    if args.door in (None, 'list'):
        return _list(getattr(args, 'json', False))
    from mmreg.plugins import register_all_modules
    from mmreg.zoo import store

    own = own_weights().get(args.name)
    if own is not None:
        return _own(own, args.door)
    entry = store.find(args.name)
    if args.door == 'show':
        return _show(entry)
    register_all_modules()
    place = store.add(args.name, args.file) if args.door == 'add' else store.get(args.name)
    console.say(str(place) if args.door == 'path' else f'{entry.name}: ready at {place}')
    if args.door != 'path':
        console.say(f'  runs by: mmreg register FIXED MOVING -o OUT --weights {entry.name}')
    return None


def _list(as_json: bool) -> None:
    entries, own = list(known().values()), list(own_weights().values())
    if as_json:
        console.say(
            json.dumps([*(o.as_dict() for o in own), *(e.as_dict() for e in entries)], indent=2, ensure_ascii=False)
        )
        return
    for one in own:
        console.say(f'{one.name}: {one.summary}; comes with mmreg, {one.parameters / 1e6:.2f} M parameters')
    rows = [
        (
            e.name,
            e.method,
            e.trained_on,
            e.needs.sentence(),
            f'{e.parameters / 1e6:.2f} M',
            e.licence,
            e.checked or 'not had here',
        )
        for e in entries
    ]
    header = ('name', 'method', 'trained on', 'expects', 'parameters', 'licence', "agrees with its authors' code to")
    console.table(header, rows)
    console.say('`mmreg weights show NAME` says what an entry needs, `get NAME` downloads, checks and converts it.')


def _own(own: OwnWeights, door: str) -> None:
    """Weights that come with mmreg: nothing is to be had."""
    if door == 'add':
        raise ConfigError(f'{own.name} comes with mmreg, expected a name of published weights to add a file for.')
    if door in ('get', 'path'):
        console.say(str(own.file) if door == 'path' else f'{own.name}: comes with mmreg, at {own.file}')
        return
    lines = {
        'what': own.summary, 'for': own.suits, 'not for': own.unsuited, 'config': own.config,
        'trained on': own.trained_on, 'training': own.training, 'measured': '; '.join(own.measured) or '-',
        'parameters': f'{own.parameters:,}', 'file': str(own.file),
    }  # fmt: skip
    _say_lines(own.name, lines)


def _show(entry: Entry) -> None:
    from mmreg.zoo import store

    needs, place = entry.needs, store.converted(entry)
    options = ' '.join(f'{key}={value!r}' for key, value in entry.options.items())
    lines = {
        'method': entry.method,
        'config': entry.config + (f' with {options}' if options else ''),
        'trained on': entry.trained_on,
        'expects': needs.sentence(),
        'grid': f'{needs.spacing or "the file"} mm, axes {needs.orientation or "as in the file"}; trained at '
        + 'x'.join(map(str, needs.size)),
        'intensity': ', '.join(transform['type'] for transform in needs.intensity),
        'initialisation': needs.affine,
        'parameters': f'{entry.parameters:,}',
        'licence': entry.licence,
        'published': entry.published or '-',
        'checked here': entry.checked or 'not checked',
        'note': entry.note or '-',
        'from': entry.url or f'{entry.link or entry.page} (nothing is downloaded from there)',
        'file': f'{entry.file_name}, {entry.size_bytes:,} bytes' if entry.url else 'given by hand: mmreg weights add',
        'SHA-256': entry.sha256 or 'not known',
        'on this machine': str(place) if place else f'not yet; `mmreg weights get {entry.name}`',
    }
    _say_lines(entry.name, lines)


def _say_lines(name: str, lines: Mapping[str, str]) -> None:
    console.say(name)
    for key, text in lines.items():
        first, *rest = textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False) or ['']
        console.say(f'  {key:<16} {first}')
        for line in rest:
            console.say(f'  {"":<16} {line}')
