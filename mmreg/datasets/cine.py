"""Cardiac cine: end of diastole and of systole of one patient, slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io import read_geometry
from mmreg.io.cine import phases
from mmreg.io.csv_text import from_cell, named_rows
from mmreg.registry import DATASETS
from mmreg.text.label_set import names_of
from mmreg.utils.text_files import read_text

from .base import Index, PairDataset, Source, compose
from .fraction import seeded_fraction
from .numbered import ACDCDataset
from .pairing import IndexPair
from .transforms.stacks import slice_positions, take_slice
from .verify import Problem

#: Files of one subject: fixed and moving image and their labels.
Files = dict[str, str]
_KEYS = ('fixed', 'moving', 'fixed_labels', 'moving_labels')


@DATASETS.register_module()
class CineDataset(PairDataset):
    """Two frames of a short-axis stack as pairs of 2-D slices; ED is fixed, ES is moving.

    One folder per subject with four files; the default names are those of the GraDIRN release for UK Biobank. Stored
    volumes are (H, W, slices). A sample's meta information has the ``volume_id``, by which metrics put the slices of a
    volume together (:class:`~mmreg.evaluation.metrics.PerVolume`).

    Args:
        data_root: Folder of the data.
        folder: Folder below it that holds the subjects of this split.
        fixed, moving, fixed_labels, moving_labels: File names; ``{id}`` stands for the subject's. Labels may be None.
        slices: ``'random'`` (one per visit, drawn anew), ``'all'``, or relative positions such as (0.25, 0.5, 0.75).
        limits: First slice and the one after the last that may be chosen; None: the whole stack.
        stack: Transforms of the pair of stacks before the slice is taken; each has its own labels' middle, so a crop
            belongs here.
        fraction: Share of the subjects to use, see :func:`~mmreg.datasets.fraction.seeded_fraction`.
        fraction_seed: Which ones.
        kwargs: See :class:`PairDataset`.

    Raises:
        ConfigError: an unknown choice of slices.
        DataError: no folder, no subject, files that are missing or disagree.

    Source: Qiu et al., MICCAI 2022; golden gradirn/data.
    """

    DERIVED = ('labels',)

    def __init__(
        self,
        data_root: str,
        folder: str = '',
        fixed: str = 'sa_ED.nii.gz',
        moving: str = 'sa_ES.nii.gz',
        fixed_labels: str | None = 'label_sa_ED.nii.gz',
        moving_labels: str | None = 'label_sa_ES.nii.gz',
        slices: str | Sequence[float] = 'random',
        limits: tuple[int, int] | None = None,
        stack: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        fraction: float = 1.0,
        fraction_seed: int = 0,
        label_sets: str = 'any',
        **kwargs: Any,
    ):
        if isinstance(slices, str) and slices not in ('random', 'all'):
            raise ConfigError(f"slices={slices!r} of a dataset, expected 'random', 'all' or relative positions.")
        self.folder = folder
        self.names = dict(zip(_KEYS, (fixed, moving, fixed_labels, moving_labels)))
        self.slices, self.limits = slices, limits
        self.stack = compose(stack)
        self.fraction, self.fraction_seed = fraction, fraction_seed
        kwargs.setdefault('pipeline', [dict(type='PackRegInputs', extra_meta=('volume_id',))])
        super().__init__(data_root=data_root, label_sets=label_sets, **kwargs)

    def subjects(self) -> list[tuple[str, Files]]:
        """Name and files of every subject, sorted.

        Raises:
            DataError: there is no such folder.
        """
        folder = Path(self.data_root) / self.folder
        if not folder.is_dir():
            raise DataError(f'{folder}: no such folder, expected one with a folder per subject.')
        found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.'))
        return [(path.name, self.files(path)) for path in found]

    def files(self, folder: Path) -> Files:
        """Files of the subject in ``folder``."""
        return {key: str(folder / name.format(id=folder.name)) for key, name in self.names.items() if name}

    def index(self) -> Index:
        """Two stacks per subject, ED fixed and ES moving."""
        sources: list[Source] = []
        pairs = []
        for name, files in seeded_fraction(self.subjects(), self.fraction, self.fraction_seed):
            pairs.append(IndexPair(moving=len(sources) + 1, fixed=len(sources), case_id=name))
            for role in ('fixed', 'moving'):
                labels = files.get(f'{role}_labels')
                sources.append({'id': f'{name}_{role}', 'image': files[role], **({'labels': labels} if labels else {})})
        problems = [] if pairs else [Problem(str(Path(self.data_root) / self.folder), 'no subject was found')]
        return Index(sources, pairs, problems)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry per slice that is chosen before the stack is read, or per subject."""
        listed = super().load_data_list()
        if self.slices == 'random':
            return listed
        return [
            {**info, 'slice': number}
            for info in listed
            for number in self._numbers(read_geometry(self.sources[info['fixed']]['image']).shape[2])
        ]

    def _numbers(self, count: int) -> list[int]:
        if isinstance(self.slices, str):
            return list(range(*(self.limits or (0, count))))
        return slice_positions(count, self.slices, self.limits)

    def adapt_pair(self, sample: dict[str, Any], info: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """The 2-D pair of one slice."""
        sample['rng'] = rng
        for transform in self.stack:
            sample = transform(sample)
        number = info.get('slice')
        if number is None:
            number = int(rng.integers(*(self.limits or (0, sample['fixed'].shape[-1]))))
        volume = sample['case_id']
        return {**take_slice(sample, number), 'volume_id': volume, 'case_id': f'{volume}_slice{number:02d}'}


@DATASETS.register_module()
class ACDCCineDataset(CineDataset):
    """ACDC as it is distributed: ``patient001/patient001_frame01.nii.gz``, frames named in ``Info.cfg``.

    Args:
        data_root: Folder with the patients' folders below it, or below ``training`` and ``testing``.
        split: 'training', 'validation' or 'test', the patients of :class:`ACDCDataset`.
        kwargs: See :class:`CineDataset`.

    Raises:
        DataError: an ``Info.cfg`` without the two frames.
    """

    METAINFO = dict(label_names=names_of('acdc3'))

    def __init__(self, data_root: str, split: str = 'training', **kwargs: Any):
        if split not in ACDCDataset.SPLITS:
            raise ConfigError(f'split={split!r} of ACDCCineDataset, expected one of {tuple(ACDCDataset.SPLITS)}.')
        self.split = split
        super().__init__(data_root, **kwargs)

    def subjects(self) -> list[tuple[str, Files]]:
        """Folders of the split's patients, wherever they lie below ``data_root``."""
        names = {f'patient{number:03d}' for number in ACDCDataset.SPLITS[self.split]}
        root = Path(self.data_root) / self.folder
        if not root.is_dir():
            raise DataError(f'{root}: no such folder, expected one with a folder per patient.')
        places = [path for part in ('', 'training', 'testing') for path in sorted((root / part).glob('patient*'))]
        found = {path.name: path for path in places if path.name in names}
        return [(name, self.files(path)) for name, path in sorted(found.items())]

    def files(self, folder: Path) -> Files:
        """Files of the two frames that ``Info.cfg`` names."""
        frames = phases(folder / 'Info.cfg')
        result: Files = {}
        for role, phase in (('fixed', 'ED'), ('moving', 'ES')):
            stem = f'{folder.name}_frame{frames[phase]:02d}'
            result |= {role: str(folder / f'{stem}.nii.gz'), f'{role}_labels': str(folder / f'{stem}_gt.nii.gz')}
        return result


@DATASETS.register_module()
class MMsDataset(CineDataset):
    """M&Ms in the layout of the GraDIRN release: ``ED_img``, ``ES_img``, ``ED_seg``, ``ES_seg`` per subject.

    Args:
        data_root: Folder of the data.
        vendors: Keep subjects of these scanners ('A' to 'D'), by the table of the challenge; None: all.
        table: That table (CSV with the columns ``External code`` and ``Vendor``) below ``data_root``.
        kwargs: See :class:`CineDataset`.

    Raises:
        DataError: no such table, or without these columns.
    """

    METAINFO = dict(label_names=('left ventricle', 'left ventricular myocardium', 'right ventricle'))

    def __init__(
        self, data_root: str, vendors: Sequence[str] | None = None, table: str = 'information.csv', **kwargs: Any
    ):
        self.vendors, self.table = vendors, table
        names = ('ED_img.nii.gz', 'ES_img.nii.gz', 'ED_seg.nii.gz', 'ES_seg.nii.gz')
        super().__init__(data_root, **{**dict(zip(_KEYS, names)), **kwargs})

    def subjects(self) -> list[tuple[str, Files]]:
        """Folders of the subjects whose scanner is wanted."""
        found = super().subjects()
        if self.vendors is None:
            return found
        wanted = _codes(Path(self.data_root) / self.table, self.vendors)
        return [(name, files) for name, files in found if name in wanted]


def _codes(path: Path, vendors: Sequence[str]) -> set[str]:
    """Subjects of these vendors."""
    if not path.is_file():
        raise DataError(f'{path}: no such file, expected the table of M&Ms subjects that names their vendors.')
    rows = named_rows(read_text(path, 'the table of M&Ms subjects'), path)
    if not rows or not {'External code', 'Vendor'} <= set(rows[0]):
        raise DataError(f'{path}: found no columns "External code" and "Vendor", expected the table of M&Ms subjects.')
    return {from_cell(row['External code']) for row in rows if row['Vendor'] in vendors}
