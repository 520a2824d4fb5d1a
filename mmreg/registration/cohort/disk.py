"""How much disk a list will need, told and checked before it is begun."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mmreg.errors import DataError, InputError
from mmreg.io import read_geometry
from mmreg.registration.results.folder import MARKER
from mmreg.registration.results.sizes import in_words, result_bytes

from .cases import CohortCase
from .places import Places

if TYPE_CHECKING:
    from .job import CohortJob

#: Headers of so many fixed images are looked at; the others are taken for like them.
_LOOKED_AT = 20


def check_disk(job: CohortJob, cases: Sequence[CohortCase], tell: Callable[[str], None] | None = None) -> float:
    """How many bytes the cases that are not finished will take, roughly; told where there is somebody to tell.

    Args:
        job: How they are registered, and where the results go.
        cases: All of the list.
        tell: Called with one sentence.

    Raises:
        DataError: the disk has not so much room.
    """
    places, out_dir = Places(job.how.layout, cases), job.how.out_dir
    waiting = [case for case in cases if job.how.overwrite or not _is_there(places, out_dir, case)]
    each = _bytes_per_case(job, waiting)
    if not waiting or each is None:
        return 0.0
    needed = each * len(waiting)
    free = shutil.disk_usage(_existing(out_dir)).free
    words = f'about {in_words(needed)} of disk, {in_words(each)} each'
    if needed > free:
        pairs = f'{len(waiting)} pair{"s" if len(waiting) > 1 else ""}'
        raise DataError(
            f'{out_dir}: found {in_words(free)} of free disk, expected about {in_words(needed)} for {pairs} '
            f'({in_words(each)} each); --outputs leaves files out'
        )
    if tell is not None:
        tell(f'{len(waiting)} pairs: {words}, {in_words(free)} are free')
    return needed


def _bytes_per_case(job: CohortJob, cases: Sequence[CohortCase]) -> float | None:
    """Mean over some of the fixed images, None where no header can be read: such cases fail when their turn comes."""
    step = max(1, len(cases) // _LOOKED_AT)
    found = []
    for case in cases[::step][:_LOOKED_AT]:
        path = case.fixed['image']
        with suppress(InputError):
            if not Path(path).is_dir():  # the headers of a DICOM series are its files
                found.append(result_bytes(read_geometry(path, frames=True), job.how.outputs, job.how.layout))
    return sum(found) / len(found) if found else None


def _is_there(places: Places, out_dir: Path, case: CohortCase) -> bool:
    """Whether a result of the case is there; if it turns out to be outdated, its place is taken by the new one."""
    try:
        place = out_dir / places.of(case)
    except InputError:
        return True  # fails, with its reason, when its turn comes
    return (place / MARKER).is_file() if places.layout == 'files' else place.is_file()


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
