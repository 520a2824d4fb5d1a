"""IXI brains as preprocessed by the TransMorph authors: one atlas, registered to every subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.registry import DATASETS

from .base import Index, PairDataset, Source
from .pairing import IndexPair
from .verify import Problem

#: FreeSurfer's values of the structures, in the order of the published numbers 1 to 45.
FREESURFER = (
    *(2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28, 30, 31, 41, 42, 43, 44, 46, 47, 49, 50, 51),
    *(52, 53, 54, 58, 60, 62, 63, 72, 77, 80, 85, 251, 252, 253, 254, 255),
)
#: Their names in FreeSurfer's table of colours, in the same order; the sides are those of the subject.
_HALF = (
    *('cerebral white matter', 'cerebral cortex', 'lateral ventricle', 'inferior lateral ventricle'),
    *('cerebellum white matter', 'cerebellum cortex', 'thalamus', 'caudate', 'putamen', 'pallidum'),
)
_REST = ('hippocampus', 'amygdala', 'accumbens area', 'ventral diencephalon', 'vessel', 'choroid plexus')
IXI_NAMES = (
    *(f'left {name}' for name in _HALF),
    *('third ventricle', 'fourth ventricle', 'brain stem', 'left hippocampus', 'left amygdala', 'cerebrospinal fluid'),
    *(f'left {name}' for name in _REST[2:]),
    *(f'right {name}' for name in (*_HALF, *_REST)),
    *('fifth ventricle', 'white matter hypointensities', 'non-white-matter hypointensities', 'optic chiasm'),
    *(f'corpus callosum {part}' for part in ('posterior', 'mid posterior', 'central', 'mid anterior', 'anterior')),
)
#: The 30 structures of the published tables, by those numbers.
IXI_LABELS = (*(1, 2, 3), *range(5, 17), 18, *range(20, 24), *range(25, 33), 34, 36)


@DATASETS.register_module()
class IXIDataset(PairDataset):
    """IXI, atlas to patient: 160x192x224 at 1 mm, intensities 0 to 1; the atlas is moving, the subject fixed.

    The pickles of the TransMorph authors, ``(image, labels)`` each, read by a restricted unpickler: ``atlas.pkl``, and
    403, 58 and 115 subjects in ``Train``, ``Val`` and ``Test``. FreeSurfer's label values become 1 to 45, in their
    order; the published tables score 30 of them (:data:`IXI_LABELS`).

    Args:
        data_root: Folder of the data.
        split: 'training', 'validation' or 'test'.
        atlas: The atlas below ``data_root``.
        folders: Folder of each split.
        with_labels: Read labels; None: in validation and test only.
        preprocess, classes, kwargs: See :class:`PairDataset`.

    Raises:
        ConfigError: another split.
        DataError: no atlas, no subject, or a pickle that holds something else.
    """

    METAINFO = dict(label_names=IXI_NAMES)
    PREPROCESS = (dict(type='LoadVolumes'), dict(type='RemapLabels', mapping=FREESURFER))

    def __init__(
        self,
        data_root: str,
        split: str = 'training',
        atlas: str = 'atlas.pkl',
        folders: dict[str, str] | None = None,
        with_labels: bool | None = None,
        classes: Sequence[int] = range(1, len(FREESURFER) + 1),
        **kwargs: Any,
    ):
        self.folders = {'training': 'Train', 'validation': 'Val', 'test': 'Test', **(folders or {})}
        if split not in self.folders:
            raise ConfigError(f'split={split!r} of IXIDataset is unknown, expected one of {tuple(self.folders)}.')
        self.split, self.atlas = split, atlas
        self.with_labels = split != 'training' if with_labels is None else with_labels
        super().__init__(data_root=data_root, classes=classes, **kwargs)

    def index(self) -> Index:
        """Subjects of the split, each with the atlas as moving image."""
        folder = Path(self.data_root) / self.folders[self.split]
        subjects = sorted(folder.glob('*.pkl'), key=lambda path: (len(path.name), path.name))
        if not subjects:
            return Index([], problems=[Problem(str(folder), 'no pickles found, expected one per subject')])
        sources = [self._source(Path(self.data_root) / self.atlas, 'atlas')]
        sources += [self._source(path, path.stem) for path in subjects]
        return Index(
            sources, [IndexPair(fixed=k, moving=0, case_id=source['id']) for k, source in enumerate(sources) if k]
        )

    def _source(self, path: Path, name: str) -> Source:
        source = {'id': name, 'image': str(path), 'members': {'image': 0, 'labels': 1}}
        return {**source, 'labels': str(path)} if self.with_labels else source
