"""Fields of a list of pairs that another program, or an earlier run, has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmreg.errors import ConfigError, DataError, listed
from mmreg.evaluation.challenge.config import ScoredPair, named
from mmreg.evaluation.challenge.fields import ENDINGS, inner_folder
from mmreg.evaluation.challenge.package import ITK_NAMES, candidates, prediction_problem, read_prediction
from mmreg.io import read_geometry

from .cases import CohortCase


class StoredFields:
    """The field of every case in a folder; all of them are looked at before the first is used.

    A field is ``disp_<fixed>_<moving>`` as the scorers want it or ``disp_<case>`` (NIfTI or npz, voxels), or
    ``<case>/displacement.nii.gz`` or ``<case>.nii.gz`` as `mmreg infer` and `mmreg test` write it (ITK, mm).

    Args:
        folder: Where they are.
        cases: The pairs.

    Raises:
        DataError: naming every field that is missing, is there twice, or has another shape or type.
    """

    def __init__(self, folder: str | Path, cases: Sequence[CohortCase]):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DataError(f'{folder} is not a folder, expected one with displacement fields.')
        self._shapes = {case.case_id: tuple(read_geometry(case.fixed['image']).shape) for case in cases}
        self._files: dict[str, Path] = {}
        numbered = _numbered(cases)
        problems = []
        for case in cases:
            found = self._found(case, numbered.get(case.case_id))
            if len(found) == 1:
                self._files[case.case_id] = found[0]
                problem = prediction_problem(found[0], self._shapes[case.case_id])
            else:
                problem = f'found {", ".join(path.name for path in found)}, expected one' if found else 'missing'
            problems += [f'{case.case_id}: {problem}'] if problem else []
        if problems:
            raise DataError(
                f'{folder}: {len(problems)} of {len(cases)} fields cannot be used: {listed(problems, "; ")}; expected '
                'disp_<fixed>_<moving>.nii.gz or disp_<case>.nii.gz in voxels, or <case>/displacement.nii.gz in mm.'
            )

    def read(self, case: CohortCase) -> np.ndarray:
        """``(ndim, *S)`` float32 voxels of the fixed grid."""
        return read_prediction(self._files[case.case_id], self._shapes[case.case_id]).astype(np.float32)

    def _found(self, case: CohortCase, pair: ScoredPair | None) -> list[Path]:
        folder = inner_folder(self.folder)
        own = [folder / f'disp_{case.case_id}{ending}' for ending in ENDINGS]
        own += [folder / case.case_id / name for name in ITK_NAMES]
        own += [folder / f'{case.case_id}{"".join(Path(name).suffixes)}' for name in ITK_NAMES]
        found = [path for path in own if path.is_file()]
        return list(dict.fromkeys(found if pair is None else [*candidates(folder, pair), *found]))


def _numbered(cases: Sequence[CohortCase]) -> Mapping[str, ScoredPair]:
    """Case -> its pair under a challenge's names; empty where the names of the images hold no numbers."""
    pairs = [ScoredPair(str(case.fixed['image']), str(case.moving['image'])) for case in cases]
    try:
        return {case.case_id: pair for case, pair in zip(cases, named(pairs, 'the pairs'))}
    except ConfigError:
        return {}
