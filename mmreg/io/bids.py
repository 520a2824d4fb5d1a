"""Names of files in BIDS: entities, suffix and ending; which images of a data set are meant.

Only what lies at ``sub-X[/ses-Y]/DATATYPE/`` counts, and only its names are read. Source: the BIDS specification 1.9.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmreg.errors import ConfigError, DataError
from mmreg.utils.text_files import read_json

#: Key of an entity -> its name, in the order of a file name.
ENTITIES = {
    'sub': 'subject', 'ses': 'session', 'sample': 'sample', 'task': 'task', 'tracksys': 'tracksys',
    'acq': 'acquisition', 'ce': 'ceagent', 'trc': 'tracer', 'rec': 'reconstruction', 'dir': 'direction', 'run': 'run',
    'mod': 'modality', 'echo': 'echo', 'flip': 'flip', 'inv': 'inversion', 'mt': 'mtransfer', 'part': 'part',
    'proc': 'processing', 'space': 'space', 'split': 'split', 'chunk': 'chunk', 'res': 'resolution', 'den': 'density',
    'label': 'label', 'desc': 'description',
}  # fmt: skip
_BY_NAME = {name: key for key, name in ENTITIES.items()}
_LABEL = re.compile(r'[0-9A-Za-z]+')
_ENDINGS = ('.nii.gz', '.nii')


@dataclass(frozen=True)
class BidsFile:
    """One image of a data set.

    Attributes:
        path: Where it is.
        entities: Key -> label, in the order of its name.
        suffix: What it is: ``T1w``.
        datatype: Its folder: ``anat``.
    """

    path: Path
    entities: Mapping[str, str]
    suffix: str
    datatype: str

    @property
    def stem(self) -> str:
        """Its entities as a file name begins."""
        return '_'.join(f'{key}-{label}' for key, label in self.entities.items())

    @property
    def folder(self) -> Path:
        """Its folder below the data set, ``sub-X[/ses-Y]/DATATYPE``."""
        parts = [f'{key}-{self.entities[key]}' for key in ('sub', 'ses') if key in self.entities]
        return Path(*parts, self.datatype)


def parse_name(path: Path) -> BidsFile | None:
    """What the name of an image says, None where it is not one of BIDS.

    Example:
        >>> found = parse_name(Path('sub-01/ses-2/anat/sub-01_ses-2_run-1_T1w.nii.gz'))
        >>> found.suffix, found.stem, found.folder.as_posix()
        ('T1w', 'sub-01_ses-2_run-1', 'sub-01/ses-2/anat')
    """
    ending = next((end for end in _ENDINGS if path.name.endswith(end)), None)
    if ending is None:
        return None
    *pairs, suffix = path.name.removesuffix(ending).split('_')
    entities: dict[str, str] = {}
    for pair in pairs:
        key, dash, label = pair.partition('-')
        if not dash or key not in ENTITIES or not _LABEL.fullmatch(label) or key in entities:
            return None
        entities[key] = label
    if 'sub' not in entities or not _LABEL.fullmatch(suffix):
        return None
    return BidsFile(path, entities, suffix, path.parent.name)


def find_images(root: str | Path) -> list[BidsFile]:
    """All images of a data set, sorted by name; derivatives and sources below it do not count.

    Raises:
        DataError: no such folder, without a readable ``dataset_description.json``, or without subjects.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f'{root}: found no such folder, expected a data set in BIDS')
    description = root / 'dataset_description.json'
    if not description.is_file():
        raise DataError(f'{root}: found no dataset_description.json, expected a data set in BIDS')
    if not isinstance(read_json(description), dict):
        raise DataError(f'{description}: found no keys and values, expected the description of a data set')
    found = [image for image in map(parse_name, _candidates(root)) if image is not None]
    if not found:
        raise DataError(f'{root}: found no images below sub-*, expected a data set in BIDS')
    return found


def _candidates(root: Path) -> Iterator[Path]:
    for pattern in ('sub-*/*/*.nii*', 'sub-*/ses-*/*/*.nii*'):
        yield from sorted(path for path in root.glob(pattern) if path.is_file())


def parse_filter(words: Sequence[str]) -> dict[str, str]:
    """``suffix=T1w acquisition=highres run=1`` as keys of names; long and short names of entities are known.

    Raises:
        ConfigError: another key, or no value.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition('=')
        key = name if name in ('suffix', 'datatype') or name in ENTITIES else _BY_NAME.get(name)
        if key is None or not equals or not value:
            known = ', '.join(('suffix', 'datatype', *_BY_NAME))
            raise ConfigError(f'--filter {word}: expected NAME=VALUE, NAME one of {known}')
        found[key] = value
    return found


def matches(image: BidsFile, wanted: Mapping[str, str]) -> bool:
    """Whether an image is meant; leading zeros of numbers do not count."""
    own = {**image.entities, 'suffix': image.suffix, 'datatype': image.datatype}
    return all(key in own and _same(own[key], value) for key, value in wanted.items())


def _same(one: str, other: str) -> bool:
    return one == other or (one.isdigit() and other.isdigit() and int(one) == int(other))
