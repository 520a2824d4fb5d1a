"""One file from its address: resumed where an earlier transfer broke, checked, and there only when whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pooch
import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from mmreg.errors import CheckpointError
from mmreg.utils.console import console

#: Seconds without a byte after which a server is given up.
TIMEOUT = 30
_CHUNK = 1 << 16


@contextmanager
def _bar(name: str, total: int | None, done: int) -> Iterator[Callable[[int], None]]:
    """A bar of bytes on stderr, with rate and remaining time; nothing where stderr is no terminal."""
    columns = (TextColumn('{task.description}'), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    shown = console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=shown, disable=not shown.is_terminal, transient=True
    ) as progress:
        task = progress.add_task(name, total=total, completed=done)
        yield lambda count: progress.advance(task, count)


class ResumingDownloader:
    """What :func:`pooch.retrieve` calls: goes on behind the bytes of ``part``, shows a bar.

    Args:
        part: Keeps what has arrived until the file is whole.
        size: Bytes of the whole file, 0 where unknown.
    """

    def __init__(self, part: Path, size: int = 0):
        self.part = part
        self.size = size

    def __call__(self, url: str, output_file: str | IO[bytes], pooch_object: Any, check_only: bool = False) -> bool:
        self.part.parent.mkdir(parents=True, exist_ok=True)
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = (
            {'Range': f'bytes={have}-', 'Accept-Encoding': 'identity'} if have else {'Accept-Encoding': 'identity'}
        )
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:  # nothing is missing, or the file is another one: its hash will tell
                return self._hand_over(output_file)
            answer.raise_for_status()
            mode = 'ab' if answer.status_code == 206 else 'wb'
            done = have if mode == 'ab' else 0
            total = done + int(answer.headers.get('Content-Length') or 0) or self.size or None
            with open(self.part, mode) as file, _bar(self.part.stem, total, done) as advance:
                for block in answer.iter_content(_CHUNK):
                    file.write(block)
                    advance(len(block))
        expected = self.size or total
        if expected and self.part.stat().st_size < expected:
            raise ConnectionError(f'{self.part.stat().st_size} of {expected} bytes arrived')
        return self._hand_over(output_file)

    def _hand_over(self, output_file: str | IO[bytes]) -> bool:
        if not isinstance(output_file, str | os.PathLike):
            raise TypeError('expected the name of a file')
        os.replace(self.part, output_file)
        return True


def fetch(url: str, target: Path, sha256: str, size: int = 0) -> Path:
    """The file at ``url`` as ``target``; nothing is transferred where it is there and right.

    Raises:
        CheckpointError: no connection, a broken transfer, another content than ``sha256``, or no room on the disk.
    """
    by_hand = f'get it by hand and run `mmreg weights add {target.parent.name} FILE`'
    part = target.with_name(f'{target.name}.part')
    pooch.get_logger().setLevel('WARNING')
    try:
        pooch.retrieve(
            url, f'sha256:{sha256}', fname=target.name, path=target.parent, downloader=ResumingDownloader(part, size)
        )
    except ValueError as error:  # pooch's word for another hash; it removed the file
        part.unlink(missing_ok=True)
        raise CheckpointError(f'{url} holds another file than expected (SHA-256 {sha256}); nothing was kept') from error
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else 'an error'
        raise CheckpointError(f'{url} answers {code}, expected a file (SHA-256 {sha256}); {by_hand}') from error
    except (requests.RequestException, ConnectionError) as error:
        kept = f'{part.stat().st_size} bytes are kept and the next try goes on there; or ' if part.exists() else ''
        raise CheckpointError(
            f'{url} cannot be reached or broke off ({type(error).__name__}), expected a file with SHA-256 {sha256}; '
            f'{kept}{by_hand}'
        ) from error
    except OSError as error:
        raise CheckpointError(
            f'{target.parent}: the file cannot be written ({error.strerror or error}), expected {size or "some"} bytes '
            'of room in a folder that MMREG_WEIGHTS may name'
        ) from error
    return target
