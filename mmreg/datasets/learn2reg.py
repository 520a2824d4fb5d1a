"""Data sets described by a Learn2Reg JSON; LUMIR's is one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, DataError
from mmreg.registry import DATASETS
from mmreg.utils import text_files

from .base import Index, PairDataset, Source
from .pairing import IndexPair
from .verify import Problem

#: Lists of the JSON that make up a split; the first that is there and not empty is taken.
SPLITS: dict[str, tuple[str, ...]] = {
    'training': ('training_paired_images', 'training'),
    'validation': ('registration_val', 'validation'),
    'test': ('registration_test', 'test', 'eval_pairs'),
}
#: Keys of an entry -> our name.
_ENTRY_KEYS = {
    'labels': ('label', 'labels', 'seg', 'segmentation'),
    'mask': ('mask', 'masks'),
    'landmarks': ('landmarks', 'keypoints', 'keypoint'),
}
#: Folders beside ``images*`` where files of the same name lie, and their ending where it differs.
_FOLDERS = {
    'labels': (('labels', ''),),
    'mask': (('masks', ''),),
    'landmarks': (('landmarks', '.csv'), ('keypoints', '.csv')),
}


@DATASETS.register_module()
class Learn2RegDataset(PairDataset):
    """A split of a Learn2Reg JSON, paired or not; each entry's keys decide.

    An entry with ``fixed`` and ``moving`` is a pair. An entry with ``image`` (and ``label``/``seg``, ``mask``,
    ``keypoints``) is a subject: in training it is the moving image and the fixed one is drawn among the others
    (``pairing='random'``); in validation and test all ordered pairs of the labelled subjects are made. Labels, masks
    and points of a pair come from its entry, from the subject's entry elsewhere in the JSON, or from the folders
    ``labels*``, ``masks*``, ``landmarks*``/``keypoints*`` beside ``images*``. Paths may begin with ``/`` or ``./`` and
    are below ``data_root``.

    Args:
        ann_file: The JSON, below ``data_root`` unless absolute.
        data_root: Folder of the data.
        split: 'training', 'validation' or 'test'.
        key: Name of the JSON's list to use, instead of the split's usual ones.
        held_out: Leave subjects that occur in the validation pairs out of the training split.
        pairing: See :class:`PairDataset`; chosen by the entries and the split when None.
        kwargs: See :class:`PairDataset`.

    Raises:
        DataError: no such file or list, entries without the keys above, missing or inconsistent files, all at once.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        split: str = 'training',
        key: str | None = None,
        held_out: bool = True,
        pairing: str | None = None,
        **kwargs: Any,
    ):
        if split not in SPLITS:
            raise ConfigError(f'split={split!r} of {type(self).__name__} is unknown, expected one of {tuple(SPLITS)}.')
        self.split, self.key, self.held_out = split, key, held_out
        self._pairing_given = pairing is not None
        super().__init__(ann_file=ann_file, data_root=data_root, pairing=pairing, **kwargs)

    def index(self) -> Index:
        """Subjects and pairs as the JSON lists them for the split."""
        content = read_json(self.ann_file)
        names = label_names(content)
        if names:
            self._metainfo.setdefault('label_names', names)
        name, entries = self._entries(content)
        known = _known_subjects(content, Path(self.data_root))
        if _is_pair(entries[0]):
            return self._paired(name, entries, known)
        return self._unpaired(name, entries, content)

    def _entries(self, content: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
        """Name and entries of the list that makes up the split."""
        names = (self.key,) if self.key else SPLITS[self.split]
        if self.pairing == 'random':
            names = names[::-1]
        for name in names:
            if content.get(name):
                return name, _as_entries(content[name], f'{self.ann_file}: {name!r}')
        present = sorted(key for key, value in content.items() if isinstance(value, (list, dict)) and value)
        raise DataError(f'{self.ann_file}: no entries under {" or ".join(map(repr, names))}, only under {present}')

    def _paired(self, name: str, entries: Sequence[dict[str, Any]], known: dict[str, Source]) -> Index:
        index = Index([], [])
        assert index.pairs is not None
        numbers: dict[str, int] = {}
        for position, entry in enumerate(entries):
            if not _is_pair(entry):
                index.problems.append(self._strange(name, position, entry))
                continue
            ends = []
            for role in ('fixed', 'moving'):
                source = self._source_of_pair(entry, role, known)
                if source['image'] not in numbers:
                    numbers[source['image']] = len(index.sources)
                    index.sources.append(source)
                ends.append(numbers[source['image']])
            index.pairs.append(IndexPair(fixed=ends[0], moving=ends[1]))
        return index

    def _unpaired(self, name: str, entries: Sequence[dict[str, Any]], content: dict[str, Any]) -> Index:
        index = Index([])
        for position, entry in enumerate(entries):
            if 'image' in entry:
                index.sources.append(_subject(entry, Path(self.data_root)))
            else:
                index.problems.append(self._strange(name, position, entry))
        if self.split == 'training':
            if self.held_out:
                index.sources = _without(index.sources, content, Path(self.data_root))
            self.pairing = self.pairing if self._pairing_given else 'random'
        else:
            labelled = [source for source in index.sources if 'labels' in source]
            index.sources = labelled or index.sources
            self.pairing = self.pairing if self._pairing_given else 'ordered'
        return index

    def _source_of_pair(self, entry: dict[str, Any], role: str, known: dict[str, Source]) -> Source:
        image = locate(entry[role], Path(self.data_root))
        source = {'id': subject_id(image), 'image': image, **known.get(image, {})}
        for ours, theirs in _ENTRY_KEYS.items():
            for key in theirs:
                if entry.get(f'{role}_{key}'):
                    source[ours] = locate(entry[f'{role}_{key}'], Path(self.data_root))
            if ours not in source:
                source |= _beside(image, ours)
        return source

    def _strange(self, name: str, position: int, entry: dict[str, Any]) -> Problem:
        return Problem(
            f'{self.ann_file}, {name}[{position}]',
            f"the keys {sorted(entry)}, expected 'image', or 'fixed' and 'moving'",
        )


@DATASETS.register_module()
class LUMIRDataset(Learn2RegDataset):
    """LUMIR (Learn2Reg 2024): brains of 160x224x192 voxels at 1 mm, intensities divided by 255.

    Takes the challenge's JSON (pairs under ``validation``, without labels) and the EOIR authors' (labelled subjects
    under ``validation``, pairs under ``test``) alike. With the challenge's, the training scans for which it offers
    labels (folder ``sanity_labels``, where it was named and is there) validate too: all ordered pairs of them, after
    the listed pairs; and they do not train. Labels of the listed pairs are read from ``labelsVal`` where that is.

    Args:
        ann_file: The JSON below ``data_root``.
        sanity_labels: Folder of the label maps of some training scans, such as ``'SanityCheckLabelsTr'``.
        kwargs: See :class:`Learn2RegDataset`.
    """

    PREPROCESS = (dict(type='LoadVolumes'), dict(type='DivideBy', value=255.0))

    def __init__(
        self,
        ann_file: str = 'LUMIR_dataset.json',
        sanity_labels: str | None = None,
        **kwargs: Any,
    ):
        self.sanity_labels = sanity_labels
        super().__init__(ann_file=ann_file, **kwargs)

    def index(self) -> Index:
        index = super().index()
        labelled = self._sanity_checked()
        if not labelled:
            return index
        if self.split == 'training' and self.held_out and index.pairs is None:
            held_out = {source['image'] for source in labelled}
            index.sources = [source for source in index.sources if source['image'] not in held_out]
        elif self.split == 'validation' and index.pairs is not None and self.key is None:
            first = len(index.sources)
            numbers = range(first, first + len(labelled))
            index.sources += labelled
            index.pairs += [IndexPair(moving=m, fixed=f) for m in numbers for f in numbers if m != f]
        return index

    def _sanity_checked(self) -> list[Source]:
        """Training scans with a label map in ``sanity_labels``, where the JSON's validation list has no subjects."""
        folder = Path(self.data_root) / (self.sanity_labels or '')
        if self.sanity_labels is None or not folder.is_dir():
            return []
        entries = read_json(self.ann_file).get('validation') or []
        if not entries or not all(isinstance(entry, dict) and _is_pair(entry) for entry in entries):
            return []
        images = ((Path(self.data_root) / 'imagesTr' / path.name, path) for path in sorted(folder.glob('*.nii*')))
        return [
            {'id': subject_id(str(image)), 'image': str(image), 'labels': str(labels)}
            for image, labels in images
            if image.is_file()
        ]


@DATASETS.register_module()
class LUMIR25Dataset(LUMIRDataset):
    """LUMIR (Learn2Reg 2025): the training scans of 2024, and validation pairs of three kinds.

    Of the 36 pairs of its JSON 18 are of the domain of 2024 (9 by labels, 9 by landmarks), 9 are high-field scans, and
    in 9 the moving image has another contrast (``LUMIRMRI_4023_0001``). The challenge's coarse label maps of the
    validation scans (10 classes) are read where they lie in ``labelsVal``.

    Args:
        ann_file: The JSON below ``data_root``.
        kwargs: See :class:`LUMIRDataset`.
    """

    def __init__(self, ann_file: str = 'LUMIR25_dataset.json', **kwargs: Any):
        super().__init__(ann_file=ann_file, **kwargs)


def label_names(content: Mapping[str, Any]) -> dict[int, str]:
    """Label -> structure, where a JSON says so under ``labels``: directly, or once per modality; without background.

    Example:
        >>> label_names({'labels': {'0': {'0': 'background', '1': 'lung'}}})
        {1: 'lung'}
    """
    labels = content.get('labels')
    if not isinstance(labels, Mapping):
        return {}
    inner = next(iter(labels.values()), None)
    labels = inner if isinstance(inner, Mapping) else labels
    names = {str(key): name for key, name in labels.items() if isinstance(name, str)}
    return {int(key): name for key, name in names.items() if key.isdecimal() and int(key) > 0}


def read_json(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DataError: no such file, not parsable, or something else than an object.
    """
    if not Path(path).is_file():
        raise DataError(f'{path}: no such file, expected the JSON of a data set')
    content = text_files.read_json(path, 'the JSON of a data set')
    if not isinstance(content, dict):
        raise DataError(f'{path}: found a {type(content).__name__}, expected an object with lists of images')
    return content


def locate(path: str, root: Path) -> str:
    """A path of the JSON, which may begin with ``/`` or ``./``, below ``root``."""
    return str(root / str(path).lstrip('/'))


def subject_id(image: str) -> str:
    """Digits that name the subject: ``LUMIRMRI_3364_0000.nii.gz`` -> ``3364``; the whole stem where there are none.

    Where the last number says which of a subject's images it is (``_0001``), it is kept: ``0002_0001``.
    """
    stem = Path(image).name.split('.')[0]
    numbers = [part for part in stem.split('_') if part.isdigit()]
    if not numbers:
        return stem
    return '_'.join(numbers) if len(numbers) > 1 and int(numbers[-1]) else numbers[0]


def _is_pair(entry: dict[str, Any]) -> bool:
    return 'fixed' in entry and 'moving' in entry


def _as_entries(value: Any, where: str) -> list[dict[str, Any]]:
    """A list of entries; some JSONs number them in an object, some list bare paths."""
    if not isinstance(value, dict | list):
        raise DataError(f'{where} is a {type(value).__name__}, expected a list of entries')
    items = list(value.values()) if isinstance(value, dict) else value
    entries = [{'image': item} if isinstance(item, str) else item for item in items]
    if not all(isinstance(entry, dict) for entry in entries):
        raise DataError(
            f"{where} holds something else than entries, expected objects with 'image', or 'fixed' and 'moving'"
        )
    return entries


def _subject(entry: dict[str, Any], root: Path) -> Source:
    image = locate(entry['image'], root)
    source = {'id': subject_id(image), 'image': image}
    for ours, theirs in _ENTRY_KEYS.items():
        found = next((entry[key] for key in theirs if entry.get(key)), None)
        if found is not None:
            source[ours] = locate(found, root)
    return source


def _known_subjects(content: dict[str, Any], root: Path) -> dict[str, Source]:
    """Every subject the JSON describes anywhere, by the path of its image."""
    known: dict[str, Source] = {}
    for value in content.values():
        if isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict) and 'image' in entry:
                    subject = _subject(entry, root)
                    known[subject['image']] = {**known.get(subject['image'], {}), **subject}
    return known


def _beside(image: str, what: str) -> Source:
    """The file of the same name in the folder beside ``images*``, where it exists."""
    path = Path(image)
    if not path.parent.name.startswith('images'):
        return {}
    for folder, ending in _FOLDERS[what]:
        name = f'{path.name.split(".")[0]}{ending}' if ending else path.name
        other = path.parent.with_name(path.parent.name.replace('images', folder, 1)) / name
        if other.is_file():
            return {what: str(other)}
    return {}


def _without(sources: Sequence[Source], content: dict[str, Any], root: Path) -> list[Source]:
    """``sources`` that no validation pair uses."""
    used = set()
    for name in SPLITS['validation']:
        value = content.get(name) or []
        for entry in value.values() if isinstance(value, dict) else value:
            if isinstance(entry, dict) and _is_pair(entry):
                used |= {locate(entry['fixed'], root), locate(entry['moving'], root)}
    return [source for source in sources if source['image'] not in used]
