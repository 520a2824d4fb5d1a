"""Spine CT/MR: a folder per case with a CT, an MR T1 and label maps of the vertebrae."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmreg.errors import ConfigError
from mmreg.registry import DATASETS

from .base import Index, PairDataset, Source
from .pairing import IndexPair
from .verify import Problem

#: Files of a case by the role of their image.
FILES = {
    'fixed': {'image': 'mr_t1.nii.gz', 'labels': 'mr_mask.nii.gz'},
    'moving': {'image': 'ct.nii.gz', 'labels': 'ct_mask.nii.gz'},
}
SPLITS = {'training': 'train', 'validation': 'val', 'test': 'test'}


@DATASETS.register_module()
class SpineCTMRDataset(PairDataset):
    """CT (moving) and MR T1 (fixed) of one spine: ``data_root/{train,val,test}/ID/{ct,ct_mask,mr_t1,mr_mask}.nii.gz``.

    Cases are found by their ``ct.nii.gz``. Label maps hold one number per vertebra, the same in both. The MR's may be
    absent: then nothing is scored against it, which is said once. Single images are brought to 1 mm and RAS; CT is
    mapped from -1000..2000 HU to [0, 1] and MR from its range. The rest (one grid, crop, crops of training) is the
    ``pipeline``'s, see ``configs/_base_/datasets/spine.py``.

    Args:
        data_root: Folder with the splits.
        split: 'training', 'validation' or 'test'.
        num_samples: How often a case comes per epoch (2 random crops per case in the published training).
        kwargs: See :class:`PairDataset`; images of a pair may lie on different grids.

    Raises:
        ConfigError: an unknown split.
        DataError: no case, or files of a case are missing.
    """

    PREPROCESS = (
        dict(type='LoadVolumes'),
        dict(type='ToSpacing', spacing=1.0, orientation='RAS'),
        dict(type='ClipWindow', low=-1000.0, high=2000.0, images=('moving',)),
        dict(type='MinMax', images=('fixed',)),
    )

    def __init__(
        self,
        data_root: str,
        split: str = 'training',
        num_samples: int = 1,
        same_shape: bool = False,
        label_sets: str = 'any',
        **kwargs: Any,
    ):
        if split not in SPLITS or num_samples < 1:
            raise ConfigError(
                f'SpineCTMRDataset got split={split!r}, num_samples={num_samples}, expected a split of '
                f'{sorted(SPLITS)} and a positive number.'
            )
        self.split, self.num_samples = split, num_samples
        super().__init__(data_root=data_root, same_shape=same_shape, label_sets=label_sets, **kwargs)

    def index(self) -> Index:
        """Cases of the split by their folders, each listed as often as crops are drawn of it."""
        folder = Path(self.data_root) / SPLITS[self.split]
        cases = sorted(path.parent for path in folder.glob(f'*/{FILES["moving"]["image"]}'))
        if not cases:
            return Index([], problems=[Problem(str(folder), 'no case was found, expected ID/ct.nii.gz below it')])
        index = Index([], [])
        assert index.pairs is not None
        for case in cases:
            first = len(index.sources)
            index.sources += [_source(case, 'fixed'), _source(case, 'moving')]
            for sample in range(self.num_samples):
                name = case.name if self.num_samples == 1 else f'{case.name}_{sample}'
                index.pairs.append(IndexPair(fixed=first, moving=first + 1, case_id=name))
        unlabelled = [source['id'] for source in index.sources[::2] if 'labels' not in source]
        if unlabelled:
            print_log(
                f'{folder}: {len(unlabelled)} of {len(cases)} cases have no {FILES["fixed"]["labels"]} (first: '
                f'{unlabelled[0]}); no Dice is computed for them.',
                logger='current',
            )
        return index

    def load_source(self, source: Source) -> dict[str, Any]:
        """One image after ``preprocess``, whose transforms may tell MR (``'fixed'``) from CT (``'moving'``)."""
        subject = dict(source)
        for transform in self.preprocess:
            subject = {**transform(subject), 'role': source['role']}
        return subject

    def make_pair(self, fixed: dict[str, Any], moving: dict[str, Any]) -> dict[str, Any]:
        """The pair, without the role that its sources carry."""
        images = ({key: value for key, value in one.items() if key != 'role'} for one in (fixed, moving))
        return super().make_pair(*images)


def _source(case: Path, role: str) -> Source:
    """Files of one image of a case; the MR's label map only where it exists."""
    files = FILES[role]
    source: Source = {'id': case.name, 'role': role, 'image': str(case / files['image'])}
    labels = case / files['labels']
    if role == 'moving' or labels.is_file():
        source['labels'] = str(labels)
    return source
