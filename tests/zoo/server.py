"""A server on the loopback that hands out one file, with ranges, and can break off or lie."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class State:
    """What the server does next, and what it was asked."""

    def __init__(self, content: bytes):
        self.content = content
        self.stop_after: int | None = None
        self.ranges: list[str | None] = []


@contextmanager
def serving(content: bytes) -> Iterator[tuple[str, State]]:
    """Address of the file and the state of the server."""
    state = State(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            asked = self.headers.get('Range')
            state.ranges.append(asked)
            if self.path != '/weights.pth':
                self.send_error(404)
                return
            start = int(asked.removeprefix('bytes=').rstrip('-')) if asked else 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if asked else 200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body if state.stop_after is None else body[: state.stop_after])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}/weights.pth', state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
