"""A page that shows scans beside each other with one crosshair, and the little server that hands it to a browser."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

from .page import render_page

#: The server answers on this machine alone.
HOST = '127.0.0.1'
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self' data: blob:; font-src data:; worker-src blob:"
)


@dataclass(frozen=True)
class ShownScan:
    """One image of the page.

    Attributes:
        title: What it is called there.
        load: Returns its bytes as NIfTI, ``.nii`` or ``.nii.gz``.
        labels: Whether it is a label map, laid over the others.
    """

    title: str
    load: Callable[[], bytes]
    labels: bool = False


class ViewServer(ThreadingHTTPServer):
    """Serves a page, its script and a list of scans, by number; nothing else on the machine can be asked for.

    Only this machine is answered, and only under a path that nobody can guess; requests under another host's name are
    refused.

    Args:
        title: Of the page.
        scans: What it shows.
        port: 0: any that is free.
    """

    daemon_threads = True

    def __init__(self, title: str, scans: Sequence[ShownScan], port: int = 0):
        self.secret = secrets.token_urlsafe(16)
        self.scans = scans
        self.page = view_html(title, scans)
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f'http://{HOST}:{self.server_port}/{self.secret}/'

    def answer(self, path: str) -> tuple[str, bytes, bool] | None:
        """Kind, bytes, and whether they are compressed script, of what a path names; None where it names nothing."""
        start = f'/{self.secret}/'
        if not path.startswith(start):
            return None
        name = path[len(start) :]
        if name == '':
            return 'text/html; charset=utf-8', self.page.encode(), False
        if name == 'niivue.js':
            return 'text/javascript', (files(__package__) / 'report_assets' / 'niivue.js.gz').read_bytes(), True
        number = name.removeprefix('scan/').removesuffix('.nii.gz').removesuffix('.nii')
        if name.startswith('scan/') and number.isascii() and number.isdigit() and int(number[:6]) < len(self.scans):
            return 'application/octet-stream', self.scans[int(number[:6])].load(), False
        return None


class _Handler(BaseHTTPRequestHandler):
    """GET alone; anything unknown is 404, and nothing is written to the terminal."""

    server: ViewServer
    protocol_version = 'HTTP/1.1'

    def do_GET(self) -> None:
        """Answer one request."""
        host = (self.headers.get('Host') or '').rpartition(':')[0]
        if host not in (HOST, 'localhost'):
            self._send(403, 'text/plain', b'this host is not served')
            return
        try:
            found = self.server.answer(self.path)
        except Exception as error:  # a scan that cannot be read must not end the server
            self._send(500, 'text/plain; charset=utf-8', str(error).encode())
            return
        if found is None:
            self._send(404, 'text/plain', b'not found')
            return
        kind, content, compressed = found
        accepts = 'gzip' in (self.headers.get('Accept-Encoding') or '')
        if compressed and not accepts:
            content, compressed = gzip.decompress(content), False
        self._send(200, kind, content, compressed)

    def _send(self, status: int, kind: str, content: bytes, compressed: bool = False) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(content)))
        self.send_header('Content-Security-Policy', _POLICY)
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Referrer-Policy', 'no-referrer')
        self.send_header('Cache-Control', 'no-store')
        if compressed:
            self.send_header('Content-Encoding', 'gzip')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def view_html(title: str, scans: Sequence[ShownScan]) -> str:
    """The page as text."""
    listed = [
        {'title': scan.title, 'url': f'scan/{number}.nii.gz', 'labels': scan.labels}
        for number, scan in enumerate(scans)
    ]
    return render_page('view.html', title=title, data={'scans': listed})
