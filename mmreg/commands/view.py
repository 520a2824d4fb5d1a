"""`mmreg view`: scans beside each other in the browser, with one crosshair; nothing leaves the machine."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.utils import console

from .shared.options import add_debug
from .shared.running import begin


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg view`."""
    parser = argparse.ArgumentParser(
        prog='mmreg view',
        description='Show a result of mmreg register, or any folder of images, in the browser: fixed, warped and '
        'moving scans with one crosshair in world mm, label maps over them. A page on this machine alone, by NiiVue, '
        'which comes with mmreg: no network is needed. Ctrl-C ends it.',
    )
    parser.add_argument('folder', metavar='DIR', help='folder of a result, or of images')
    parser.add_argument('--port', type=int, default=0, metavar='N', help='port of the page (default: a free one)')
    parser.add_argument(
        '--no-inputs', action='store_true', help='leave out the fixed and moving image that a result was made from'
    )
    parser.add_argument('--no-browser', action='store_true', help='print the address and open no browser')
    parser.add_argument('--list', action='store_true', help='print what would be shown, and stop')
    add_debug(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg view`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: view(args), debug=args.debug)


def view(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C."""
    begin(f'looking at {args.folder}')
    from mmreg.registration.results.scans import scans_of
    from mmreg.visualization.viewer import ViewServer

    if not 0 <= args.port <= 65535:
        raise ConfigError(f'--port is {args.port}, expected a number from 0 to 65535.')
    scans = scans_of(args.folder, inputs=not args.no_inputs)
    if args.list:
        console.table(('scan', 'labels'), [(scan.title, 'yes' if scan.labels else '') for scan in scans])
        return
    try:
        server = ViewServer(Path(args.folder).resolve().name, scans, args.port)
    except OSError as error:
        raise ConfigError(f'--port {args.port} cannot be used ({error.strerror}), expected a free one.') from error
    with server:
        console.say(f'{len(scans)} scans at {server.url} (Ctrl-C ends it)')
        if not args.no_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.say('ended')
