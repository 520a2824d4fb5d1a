"""Data sets whose files are named by numbers: abdomen CT-CT and ACDC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.registry import DATASETS
from mmreg.text.label_set import names_of

from .base import Index, PairDataset, Source
from .pairing import IndexPair


class NumberedDataset(PairDataset):
    """Base: subjects by number, files by templates.

    Args:
        data_root: Folder of the data.
        split: Name of a split in :attr:`SPLITS`.
        subjects: Numbers to use instead of the split's.
        kwargs: See :class:`PairDataset`.
    """

    SPLITS: dict[str, tuple[int, ...]] = {}
    DERIVED = ('labels',)

    def __init__(self, data_root: str, split: str = 'training', subjects: Sequence[int] | None = None, **kwargs: Any):
        if split not in self.SPLITS:
            expected = tuple(self.SPLITS)
            raise ConfigError(f'split={split!r} of {type(self).__name__} is unknown, expected one of {expected}.')
        self.split = split
        self.subjects = tuple(self.SPLITS[split] if subjects is None else subjects)
        super().__init__(data_root=data_root, **kwargs)

    def path(self, template: str, **values: Any) -> str:
        """A file below ``data_root``."""
        return str(Path(self.data_root) / template.format(**values))


@DATASETS.register_module()
class AbdomenCTCTDataset(NumberedDataset):
    """Abdomen CT of Learn2Reg 2020, task 3: all ordered pairs of a split, 13 organs.

    Hounsfield units -500..800 become [0, 1], then the grid is halved by splines (192x160x256 at 2 mm to 96x80x128).
    Subjects 1-20 train (380 pairs), 21-23 validate (6), 24-30 test (42). Source: golden eoir/data.

    Args:
        image: Template of an image's path; ``{id}`` is the subject's number.
        labels: Template of a label map's path.
        kwargs: See :class:`NumberedDataset`.
    """

    PAIRING = 'ordered'
    PREPROCESS = (
        dict(type='LoadVolumes'),
        dict(type='ClipWindow', low=-500.0, high=800.0),
        dict(type='Zoom', factor=0.5, order=2),
    )
    SPLITS = {'training': tuple(range(1, 21)), 'validation': (21, 22, 23), 'test': tuple(range(24, 31))}

    METAINFO = dict(label_names=names_of('abdomenct13'))

    def __init__(
        self,
        data_root: str,
        image: str = 'img/img{id:04d}.nii.gz',
        labels: str = 'label/label{id:04d}.nii.gz',
        classes: Sequence[int] = range(1, 14),
        **kwargs: Any,
    ):
        self.templates = {'image': image, 'labels': labels}
        super().__init__(data_root, classes=classes, **kwargs)

    def index(self) -> Index:
        """Subjects of the split by their numbers; pairs are made by ``pairing``."""
        return Index(
            [
                {'id': f'{number:04d}', **{key: self.path(t, id=number) for key, t in self.templates.items()}}
                for number in self.subjects
            ]
        )


def _acdc_numbers(first: int, last: int) -> tuple[int, ...]:
    """Of each of the five groups of 20 patients in 1-100, the ``first`` to ``last``."""
    return tuple(20 * group + number for group in range(5) for number in range(first, last + 1))


@DATASETS.register_module()
class ACDCDataset(NumberedDataset):
    """ACDC hearts, end of diastole and of systole of one patient, 128x128x16 at 1.8x1.8x10 mm, min-max normalised.

    The ED image is moving and the ES image fixed. In training the two are exchanged at random; validation and test
    evaluate both directions. Labels: 1 right ventricle, 2 myocardium, 3 left ventricle. Of each of the five groups of
    20 patients the first 17 train and the last 3 validate; patients 101-150 test.

    Args:
        image: Template of an image's path; ``{folder}`` is ``train`` or ``test``, ``{id}`` the patient, ``{phase}``
            ``ed`` or ``es``.
        labels: Template of a label map's path.
        pairing: 'exchange' in training and 'both' otherwise when None; see :class:`PairDataset`.
        kwargs: See :class:`NumberedDataset`.
    """

    PREPROCESS = (dict(type='LoadVolumes'), dict(type='MinMax'))
    SPLITS = {'training': _acdc_numbers(1, 17), 'validation': _acdc_numbers(18, 20), 'test': tuple(range(101, 151))}

    METAINFO = dict(label_names=names_of('acdc3'))

    def __init__(
        self,
        data_root: str,
        split: str = 'training',
        image: str = '{folder}/patient{id:03d}_{phase}_img.nii.gz',
        labels: str = '{folder}/patient{id:03d}_{phase}_seg.nii.gz',
        classes: Sequence[int] = (1, 2, 3),
        pairing: str | None = None,
        **kwargs: Any,
    ):
        self.templates = {'image': image, 'labels': labels}
        pairing = pairing or ('exchange' if split == 'training' else 'both')
        super().__init__(data_root, split=split, classes=classes, pairing=pairing, **kwargs)

    def index(self) -> Index:
        """Both frames of every patient of the split as a pair."""
        sources: list[Source] = []
        pairs = []
        for number in self.subjects:
            name = f'patient{number:03d}'
            pairs.append(IndexPair(moving=len(sources), fixed=len(sources) + 1, case_id=name))
            values = {'folder': 'train' if number <= 100 else 'test', 'id': number}
            for phase in ('ed', 'es'):
                files = {key: self.path(t, phase=phase, **values) for key, t in self.templates.items()}
                sources.append({'id': f'{name}_{phase}', **files})
        return Index(sources, pairs)
