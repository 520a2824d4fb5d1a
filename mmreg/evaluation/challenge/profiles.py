"""What the archive of each challenge looks like, and which pairs and shapes a data set's JSON asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.datasets.learn2reg import SPLITS, read_json
from mmreg.datasets.oasis import pickled_pairs
from mmreg.errors import ConfigError, DataError
from mmreg.io import read_geometry, write_learn2reg_nifti, write_learn2reg_npz
from mmreg.io.pickles import restricted_load

from .config import ScoredPair, named

Writer = Callable[[str | Path, np.ndarray], None]


@dataclass(frozen=True)
class Profile:
    """The form a challenge wants.

    Attributes:
        folder: Of the files inside the archive, empty for its top; None for one of the archive's own name.
        ending: Of each file.
        layout: See :func:`mmreg.evaluation.challenge.fields.layout`.
        dtype: Of the stored values, voxels of the full grid.
        write: Writes ``(ndim, *S)`` full-resolution voxels as such a file.
    """

    folder: str | None
    ending: str
    layout: str
    dtype: str
    write: Writer

    @property
    def fixed_folder(self) -> bool:
        """Whether the files must lie in a folder of a given name."""
        return bool(self.folder)

    def named(self, name: str) -> Profile:
        """The same with the folder called ``name`` where the challenge leaves its name open."""
        return replace(self, folder=name) if self.folder is None else self

    def at(self, folder: str) -> Profile:
        """The same with the files in ``folder``."""
        return replace(self, folder=folder)

    def member(self, pair: ScoredPair, stem: str | None = None) -> str:
        """Name of a pair's file inside the archive."""
        name = f'{stem or pair.field_stem}{self.ending}'
        return f'{self.folder}/{name}' if self.folder else name


PROFILES: dict[str, Profile] = {
    'lumir': Profile(None, '.nii.gz', 'full', 'float32', write_learn2reg_nifti),
    'lumir25': Profile(None, '.nii.gz', 'full', 'float32', write_learn2reg_nifti),
    'learn2reg': Profile('', '.nii.gz', 'full', 'float32', write_learn2reg_nifti),
    'oasis2021': Profile('task_03', '.npz', 'half_first', 'float16', write_learn2reg_npz),
}


def wanted_pairs(json_file: str | Path, split: str | None = None) -> list[ScoredPair]:
    """The pairs that a data set's JSON lists for a split; by default validation, else test.

    Instead of a JSON, a folder of pickled pairs (``p_0438_0439.pkl``) may be given: its files are the list.

    Raises:
        ConfigError: the split is unknown, or two pairs would share a file name.
        DataError: the JSON lists no pairs there, or the folder has none.
    """
    if Path(json_file).is_dir():
        return named([ScoredPair(*pair) for pair in _pickles(Path(json_file))], str(json_file))
    content = read_json(json_file)
    splits = ('validation', 'test') if split is None else (split,)
    if set(splits) - set(SPLITS):
        raise ConfigError(f'split {split!r} is unknown, expected one of {", ".join(SPLITS)}.')
    for name in (name for key in splits for name in SPLITS[key]):
        pairs = _pairs(content.get(name))
        if pairs:
            return named(pairs, f'{json_file}: {name}')
    raise DataError(f'{json_file}: no pairs (fixed, moving) under {" or ".join(splits)}, expected some to package.')


def wanted_shape(json_file: str | Path, pair: ScoredPair, data_root: str | Path | None = None) -> tuple[int, ...]:
    """Spatial shape of a pair's field: that of its fixed image where the file is there, else what the JSON says.

    (Shapes in the JSON or README of a challenge have been misprinted; the images are right.)

    Raises:
        DataError: neither is known.
    """
    if Path(json_file).is_dir():
        fixed = restricted_load(_pickles(Path(json_file))[pair.fixed, pair.moving])[1]
        return tuple(np.shape(fixed))
    image = Path(data_root or Path(json_file).parent) / pair.fixed.lstrip('/')
    if image.is_file():
        return tuple(read_geometry(image).shape)
    stated = read_json(json_file).get('tensorImageShape')
    if isinstance(stated, Mapping):
        stated = next(iter(stated.values()), None)
    if isinstance(stated, Sequence) and len(stated) in (2, 3) and all(isinstance(n, int) for n in stated):
        return tuple(stated)
    raise DataError(f'{image} does not exist and {json_file} has no tensorImageShape, expected one; or give --shape.')


def _pickles(folder: Path) -> dict[tuple[str, str], Path]:
    """File of each (fixed, moving) pair of a folder of pickles."""
    found = pickled_pairs(folder)
    if not found:
        raise DataError(
            f'{folder}: no pairs in pickles, expected files such as p_0438_0439.pkl, or the JSON of a data set.'
        )
    return found


def _pairs(entries: Any) -> list[ScoredPair]:
    items = entries.values() if isinstance(entries, Mapping) else entries if isinstance(entries, list) else []
    return [
        ScoredPair(str(e['fixed']), str(e['moving']))
        for e in items
        if isinstance(e, Mapping) and {'fixed', 'moving'} <= set(e)
    ]
