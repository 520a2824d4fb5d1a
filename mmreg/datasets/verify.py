"""All missing and inconsistent files of a data set, found before training and reported together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from mmreg.errors import DataError, listed
from mmreg.io import Geometry, read_geometry

from .pairing import IndexPair

#: Entries of a source that are files on the image's grid.
ON_GRID = ('labels', 'mask', 'prompt')
FILES = ('image', *ON_GRID, 'landmarks')
_WITHOUT_HEADER = ('.pkl', '.npz', '.npy')


class Problem(NamedTuple):
    """One thing that is wrong: where (a path or key; empty when ``what`` names it) and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f'{self.where}: {self.what}' if self.where else self.what


def report(dataset: str, data_root: str, problems: Sequence[Problem]) -> None:
    """Raise one DataError with the first problems and the number of all, or nothing when there are none."""
    if not problems:
        return
    unique = list(dict.fromkeys(_below(data_root, str(problem)) for problem in problems))
    count = f'{len(unique)} problem{"s" if len(unique) > 1 else ""}'
    raise DataError(f'{dataset} (data_root={data_root!r}) found {count} in its files: {listed(unique, "; ")}.')


def _below(data_root: str, text: str) -> str:
    """A problem without the folder or the list that the sentence begins with."""
    beginnings = (f'{data_root.rstrip("/")}/', f'{data_root}, ') if data_root else ()
    return next((text.removeprefix(first) for first in beginnings if text.startswith(first)), text)


def verify_sources(
    sources: Sequence[dict[str, Any]], pairs: Iterable[IndexPair], headers: bool = True, same_shape: bool = True
) -> list[Problem]:
    """Check that files exist and, by their headers, that what belongs together has one shape.

    Args:
        sources: Files of every image.
        pairs: Which two make a pair.
        headers: Read headers; otherwise only existence is checked.
        same_shape: Fixed and moving image of a pair must have one shape.
    """
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda source: _verify_source(source, headers), sources))
    problems = [problem for found, _ in results for problem in found]
    if headers and same_shape:
        problems += _verify_shapes(sources, [geometry for _, geometry in results], pairs)
    return problems


def _verify_source(source: dict[str, Any], headers: bool) -> tuple[list[Problem], Geometry | None]:
    """Problems of one image's files, and the image's geometry where its header was read."""
    files = {key: source[key] for key in FILES if source.get(key)}
    problems = [Problem(path, f'no such file ({key})') for key, path in files.items() if not Path(path).exists()]
    if problems or not headers:
        return problems, None
    geometries: dict[str, Geometry] = {}
    for key in ('image', *ON_GRID):
        if key in files and not files[key].endswith(_WITHOUT_HEADER):
            try:
                geometries[key] = _geometry_of(files[key])
            except DataError as error:
                problems.append(Problem('', str(error)))
    image = geometries.get('image')
    for key in ON_GRID:
        if image is not None and key in geometries and geometries[key].shape != image.shape:
            problems.append(
                Problem(
                    files[key], f'{key} of shape {geometries[key].shape}, expected {image.shape} as {files["image"]}'
                )
            )
    return problems, image


def _geometry_of(path: str) -> Geometry:
    """The geometry of a file; a header that was read before in this process is not read again."""
    found = Path(path).stat()
    if Path(path).is_dir():  # what lies in it may change without the folder
        return read_geometry(path)
    return _read_header(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1 << 16)
def _read_header(path: str, size: int, changed: int) -> Geometry:
    return read_geometry(path)


def _verify_shapes(
    sources: Sequence[dict[str, Any]], geometries: Sequence[Geometry | None], pairs: Iterable[IndexPair]
) -> list[Problem]:
    """Pairs whose images differ in shape; where partners are drawn, every image is compared with the first."""
    problems = []
    first = next((i for i, g in enumerate(geometries) if g is not None), 0)
    for pair in pairs:
        other = first if pair.fixed is None else pair.fixed
        a, b = geometries[pair.moving], geometries[other]
        if a is not None and b is not None and a.shape != b.shape:
            problems.append(
                Problem(
                    sources[pair.moving]['image'], f'shape {a.shape}, expected {b.shape} as {sources[other]["image"]}'
                )
            )
    return problems
