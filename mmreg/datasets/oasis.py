"""OASIS of Learn2Reg 2021 in its two editions: NIfTI with a JSON, and pickles with another axis order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.registry import DATASETS
from mmreg.text.label_set import names_of

from .base import Index, Source
from .learn2reg import Learn2RegDataset
from .pairing import IndexPair
from .verify import Problem

#: Positions in the tuples of a subject's and of a pair's pickle.
_SUBJECT = {'image': 0, 'labels': 1}
_MOVING = {'image': 0, 'labels': 2}
_FIXED = {'image': 1, 'labels': 3}
_SUBJECT_NAME = re.compile(r'p_(\d+)\.pkl')
_PAIR_NAME = re.compile(r'p_(\d+)_(\d+)\.pkl')


@DATASETS.register_module()
class OASISDataset(Learn2RegDataset):
    """OASIS brains with 35 structures; intensities as stored (0 to 1).

    ``edition='nifti'``: the challenge's ``OASIS_dataset.json``; subjects of the validation pairs are left out of
    training. ``edition='pickle'``: the files of the TransMorph authors, read by a restricted unpickler:
    ``train/p_<id>.pkl`` holds (image, labels), ``val/p_<A>_<B>.pkl`` holds (moving, fixed, moving labels, fixed
    labels) with A the fixed and B the moving subject. The axes of the two editions differ; do not mix them.

    Args:
        data_root: Folder of the data.
        split: 'training', 'validation' or 'test' (the pickles' test pairs are the validation pairs).
        edition: 'nifti' or 'pickle'.
        ann_file: The JSON of the NIfTI edition.
        folders: Folder of each split's pickles.
        classes: Labels that may occur.
        kwargs: See :class:`Learn2RegDataset`.

    Raises:
        DataError: see :class:`Learn2RegDataset`; no pickle of the expected name.
    """

    METAINFO = dict(label_names=names_of('oasis35'))

    def __init__(
        self,
        data_root: str,
        split: str = 'training',
        edition: str = 'nifti',
        ann_file: str = 'OASIS_dataset.json',
        folders: dict[str, str] | None = None,
        classes: Any = range(1, 36),
        **kwargs: Any,
    ):
        if edition not in ('nifti', 'pickle'):
            raise ConfigError(f"edition={edition!r} of OASISDataset is unknown, expected 'nifti' or 'pickle'.")
        self.edition = edition
        self.folders = {'training': 'train', 'validation': 'val', 'test': 'val', **(folders or {})}
        super().__init__(ann_file=ann_file, data_root=data_root, split=split, classes=classes, **kwargs)

    def index(self) -> Index:
        """Subjects of the split, and pairs where the edition's files list them."""
        if self.edition == 'nifti':
            return super().index()
        folder = Path(self.data_root) / self.folders[self.split]
        pattern = _SUBJECT_NAME if self.split == 'training' else _PAIR_NAME
        files = sorted(path for path in folder.glob('p_*.pkl') if pattern.fullmatch(path.name))
        if not files:
            example = 'p_0001.pkl' if self.split == 'training' else 'p_0438_0439.pkl'
            return Index([], problems=[Problem(str(folder), f'no pickles found, expected files such as {example}')])
        if self.split == 'training':
            self.pairing = self.pairing if self._pairing_given else 'random'
            return Index([_pickled(path, _id(pattern, path, 1), _SUBJECT) for path in files])
        sources: list[Source] = []
        pairs = []
        for (fixed, moving), path in pickled_pairs(folder).items():
            pairs.append(IndexPair(fixed=len(sources), moving=len(sources) + 1, case_id=f'{fixed}_{moving}'))
            of_pair = {'unlabelled': 2}  # of a test set that is not given away
            sources += [_pickled(path, fixed, _FIXED) | of_pair, _pickled(path, moving, _MOVING) | of_pair]
        return Index(sources, pairs)


def pickled_pairs(folder: Path) -> dict[tuple[str, str], Path]:
    """Files ``p_<A>_<B>.pkl`` of a folder by (fixed, moving) subject, sorted."""
    files = sorted(path for path in folder.glob('p_*.pkl') if _PAIR_NAME.fullmatch(path.name))
    return {(_id(_PAIR_NAME, path, 1), _id(_PAIR_NAME, path, 2)): path for path in files}


def _id(pattern: re.Pattern[str], path: Path, group: int) -> str:
    match = pattern.fullmatch(path.name)
    assert match is not None
    return match[group]


def _pickled(path: Path, name: str, members: dict[str, int]) -> Source:
    return {'id': name, 'image': str(path), 'labels': str(path), 'members': dict(members)}
