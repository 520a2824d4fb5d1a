"""Where the result of each case of a list goes: a folder of its own, or the one file of a challenge's layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mmreg.errors import DataError, InputError
from mmreg.io.atomic import atomic_path
from mmreg.io.learn2reg import field_stems, unique_stems
from mmreg.registration.results.outputs import LAYOUTS
from mmreg.registration.results.result import RegistrationResult

from .cases import CohortCase
from .names import check_places


class Places:
    """Names of the places of all cases of a list in one folder.

    Args:
        layout: ``'files'``, or the layout of a challenge.
        cases: All of them.

    Raises:
        InputError: two cases would have one place.
    """

    def __init__(self, layout: str, cases: Sequence[CohortCase]):
        self.layout = layout
        self._names: dict[str, str] = {}
        if layout != 'files':
            self._names = layout_names(layout, cases)
            check_places(f'--layout {layout}', self._files(cases))

    def of(self, case: CohortCase) -> str:
        """Folder, or in a challenge layout file, of a case.

        Raises:
            InputError: the layout has no name for it.
        """
        if self.layout == 'files':
            return case.case_id
        if case.case_id not in self._names:
            subjects = [Path(source['image']).name.split('.')[0] for source in (case.fixed, case.moving)]
            raise InputError(
                f'{case.case_id}: found the subjects {subjects[0]!r} and {subjects[1]!r}, expected numbers in the file '
                f'names as the layout {self.layout} wants'
            )
        return self._names[case.case_id]

    def _files(self, cases: Sequence[CohortCase]) -> Iterator[tuple[str, str]]:
        """Case and file, of those that have one: the others fail, with their reason, when their turn comes."""
        for case in cases:
            with suppress(InputError):
                yield case.case_id, self.of(case)


def layout_names(layout: str, cases: Sequence[CohortCase]) -> dict[str, str]:
    """File name of every case in a challenge layout, as its scorer wants it; cases without numbers are left out."""
    known = [case for case in cases if _has_numbers(case)]
    stems = unique_stems([(case.fixed['image'], case.moving['image']) for case in known])
    return {case.case_id: f'{stem}{LAYOUTS[layout][0]}' for case, stem in zip(known, stems)}


def _has_numbers(case: CohortCase) -> bool:
    try:
        field_stems(case.fixed['image'], case.moving['image'])
    except DataError:
        return False
    return True


def write_layout(layout: str, path: Path, result: RegistrationResult) -> None:
    """Write the one file of a challenge layout, atomically."""
    with atomic_path(path) as temporary:
        LAYOUTS[layout][1](temporary, result)
