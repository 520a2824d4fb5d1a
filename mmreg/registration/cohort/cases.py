"""The pairs of a list: a CSV or JSON of your own, or the JSON of a challenge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmreg.datasets.base import Index, Source
from mmreg.datasets.learn2reg import Learn2RegDataset, read_json
from mmreg.datasets.pairs import PairListDataset
from mmreg.datasets.verify import report
from mmreg.errors import DataError
from mmreg.io import ImageFile
from mmreg.registration.files import PairFiles
from mmreg.utils.file_state import file_state
from mmreg.utils.text_files import read_json as read_any_json

from .names import check_case_ids

#: Splits of a challenge's JSON that are looked at for pairs, in this order.
SPLITS = ('validation', 'test', 'training')


@dataclass(frozen=True)
class CohortCase:
    """One pair of a list.

    Attributes:
        case_id: Its name.
        fixed: Files of the fixed image: ``id``, ``image``, and where there are ``labels``, ``landmarks`` and so on.
        moving: The same of the moving image.
        affine: File of an affine of this pair, which counts more than that of the whole list.
    """

    case_id: str
    fixed: Source
    moving: Source
    affine: str | None = None

    @property
    def files(self) -> PairFiles:
        """Its files."""
        return PairFiles.of_sources(self.fixed, self.moving)

    def arguments(self) -> dict[str, str]:
        """Those that are given, as keyword arguments of a :class:`~mmreg.registration.pipeline.Pipeline`."""
        return self.files.given()

    def fingerprint(self, settings: Mapping[str, Any]) -> str:
        """Digest of the files (path, size, time of change) and of the settings; tells whether a result is current."""
        files: dict[str, list[Any]] = {}
        given = {**self.arguments(), **({'affine': self.affine} if self.affine else {})}
        for key, path in given.items():
            files[key] = file_state(path)
            if isinstance(path, ImageFile):
                files[key] += [path.frame, path.series, path.position, path.channels]
        text = json.dumps({'files': files, 'settings': settings}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def read_cases(path: str | Path, data_root: str | Path | None = None, split: str | None = None) -> list[CohortCase]:
    """The pairs of a list.

    Args:
        path: CSV or JSON with ``fixed``, ``moving`` and optional ``*_labels``, ``*_landmarks``, ``case_id`` per pair;
            or a Learn2Reg or LUMIR JSON with pairs under validation or test.
        data_root: Folder the paths are below; the list's own folder by default.
        split: Which list of a challenge's JSON; the first with pairs by default.

    Raises:
        DataError: not readable, no pair in it, or two pairs of one name.
    """
    path = Path(path).absolute()
    root = str(data_root or path.parent)
    index = _challenge_index(path, root, split) if _is_challenge(path) else _list_index(path, root)
    report('the pair list', str(path), index.problems)
    cases = []
    for pair in index.pairs or ():
        assert pair.fixed is not None
        fixed, moving = index.sources[pair.fixed], index.sources[pair.moving]
        cases.append(CohortCase(pair.case_id or f'{fixed["id"]}_{moving["id"]}', fixed, moving))
    _check_names(path, cases)
    return cases


def _is_challenge(path: Path) -> bool:
    if path.suffix != '.json' or not path.is_file():
        return False
    try:
        content = read_any_json(path)
    except DataError:
        return False  # the reader of pair lists says what is wrong
    return isinstance(content, dict) and 'pairs' not in content


def _list_index(path: Path, root: str) -> Index:
    return PairListDataset(str(path), data_root=root, lazy_init=True).index()


def _challenge_index(path: Path, root: str, split: str | None) -> Index:
    content = read_json(path)
    for name in SPLITS if split is None else (split,):
        dataset = Learn2RegDataset(str(path), data_root=root, split=name, lazy_init=True)
        try:
            index = dataset.index()
        except DataError:
            if split is not None:
                raise
            continue
        if index.pairs is not None:
            return index
    lists = sorted(key for key, value in content.items() if isinstance(value, list | dict) and value)
    raise DataError(
        f'{path}: found no pairs (fixed, moving) in {lists}, expected some under {split or "validation or test"}'
    )


def _check_names(path: Path, cases: list[CohortCase]) -> None:
    if not cases:
        raise DataError(f'{path}: found no pairs, expected at least one')
    check_case_ids(path, [case.case_id for case in cases])
