"""CamCAN brains: one folder per subject, any two subjects make a pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, DataError
from mmreg.registry import DATASETS

from .base import Index, PairDataset, Source
from .fraction import seeded_fraction
from .pairing import IndexPair
from .transforms.roles import MOVING
from .verify import Problem

MODALITIES = ('t1t1', 't1t2')


@DATASETS.register_module()
class CamCANDataset(PairDataset):
    """Inter-subject pairs of brains with tissue labels; also for other data with one folder per subject.

    Training takes every subject once and draws the other (never the same one); ``pairing='next'`` registers each
    following subject to the one before it, as in the published validation.

    Args:
        data_root: Folder of the data.
        folder: Folder below it that holds the subjects of this split.
        t1, t2, labels: File names; ``labels`` may be None.
        modality: ``'t1t1'``, or ``'t1t2'``: the fixed image is T1, the moving one T2.
        atlas: Folder of one subject below ``data_root`` that is the fixed image of every pair; None: none.
        fraction, fraction_seed: Share of the subjects, see :func:`~mmreg.datasets.fraction.seeded_fraction`.
        kwargs: See :class:`PairDataset`; ``pairing`` is 'random' unless set, with an atlas 'listed'.

    Raises:
        ConfigError: an unknown modality.
        DataError: no folder, no two subjects, files that are missing or disagree.

    Source: Qiu et al., MICCAI 2022; golden gradirn/data ``prep3d_*``.
    """

    PAIRING = 'random'
    DERIVED = ('labels',)
    PREPROCESS = (
        dict(type='LoadVolumes'),
        dict(type='CenterCrop', size=(176, 192, 176)),
        dict(type='PercentileWindow', low=0.05, high=99.95),
        dict(type='Resample', size=(128, 128, 128)),
    )

    def __init__(
        self,
        data_root: str,
        folder: str = '',
        t1: str = 'T1_brain.nii.gz',
        t2: str = 'T2_brain.nii.gz',
        labels: str | None = 'T1_brain_MALPEM_tissues.nii.gz',
        modality: str = 't1t1',
        atlas: str | None = None,
        fraction: float = 1.0,
        fraction_seed: int = 0,
        pairing: str | None = None,
        **kwargs: Any,
    ):
        if modality not in MODALITIES:
            raise ConfigError(f'modality={modality!r} of CamCANDataset is unknown, expected one of {MODALITIES}.')
        self.folder, self.names = folder, (t1, t2, labels)
        self.modality, self.atlas = modality, atlas
        self.fraction, self.fraction_seed = fraction, fraction_seed
        super().__init__(data_root=data_root, pairing='listed' if atlas else pairing, **kwargs)

    def index(self) -> Index:
        """Every subject of the folder, and pairs where an atlas makes them."""
        folder = Path(self.data_root) / self.folder
        if not folder.is_dir():
            raise DataError(f'{folder}: no such folder, expected one with a folder per subject.')
        found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.'))
        chosen = seeded_fraction(found, self.fraction, self.fraction_seed)
        # Inter-subject pairs need subjects once: repeating them would pair a subject with itself.
        sources = [self._source(path) for path in dict.fromkeys(chosen)]
        problems = [] if sources else [Problem(str(folder), 'no subject was found')]
        if self.atlas is None:
            return Index(sources, problems=problems)
        pairs = [IndexPair(moving=k + 1, fixed=0, case_id=source['id']) for k, source in enumerate(sources)]
        return Index([self._source(Path(self.data_root) / self.atlas), *sources], pairs, problems)

    def _source(self, folder: Path) -> Source:
        t1, t2, labels = self.names
        source: Source = {'id': folder.name, 'image': str(folder / t1)}
        if labels:
            source['labels'] = str(folder / labels)
        if self.modality == 't1t2':
            source['t2'] = str(folder / t2)
        return source

    def load_source(self, source: Source) -> dict[str, Any]:
        """The subject's T1 with its labels, and T2 beside it where the modality asks for it."""
        second = source.get('t2')
        subject = super().load_source({key: value for key, value in source.items() if key != 't2'})
        if second:
            subject['t2'] = super().load_source({'id': source['id'], 'image': second})['image']
            subject['t2_path'] = second
        return subject

    def make_pair(self, fixed: dict[str, Any], moving: dict[str, Any]) -> dict[str, Any]:
        """The pair; with ``'t1t2'`` the moving image is the subject's T2."""
        extra = ('t2', 't2_path')
        pair = super().make_pair(*({k: v for k, v in s.items() if k not in extra} for s in (fixed, moving)))
        if 't2' in moving:
            pair[MOVING.image], pair[MOVING.path] = moving['t2'], moving['t2_path']
        return pair
