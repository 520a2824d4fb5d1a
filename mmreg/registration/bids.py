"""Pairs of a data set in BIDS, and their results under the names that derivatives have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmreg.errors import DataError
from mmreg.io.bids import BidsFile, find_images, matches
from mmreg.io.tables import write_json
from mmreg.utils.atomic import write_text
from mmreg.utils.leftovers import temporary_folder
from mmreg.utils.text_files import read_json
from mmreg.version import __version__

from .inputs.images import digest
from .results.result import RegistrationResult

VERSION = '1.9.0'
#: What is no part of the standard, so that a validator passes it by.
IGNORED = ('*_xfm.h5', '*_report.html', '*_metrics.json', 'failures.csv')


@dataclass(frozen=True)
class BidsPair:
    """What is registered to what.

    Attributes:
        moving: An image of the data set.
        fixed: Path of the image that stays.
        space: Label of the space it stands for.
        source: How the fixed image is called in a derivative: a BIDS URI, or the file name of a template.
    """

    moving: BidsFile
    fixed: Path
    space: str
    source: str

    @property
    def case_id(self) -> str:
        """Name of the pair."""
        return f'{self.moving.stem}_space-{self.space}_{self.moving.suffix}'


def find_pairs(
    root: str | Path,
    wanted: Mapping[str, str],
    subjects: Sequence[str] = (),
    template: str | Path | None = None,
    space: str = 'template',
) -> tuple[list[BidsPair], list[str]]:
    """Per subject, every image that is meant to the first one, or all of them to a template.

    Args:
        root: The data set.
        wanted: See :func:`mmreg.io.bids.parse_filter`.
        subjects: Labels of participants, all by default.
        template: The image that stays, for all.
        space: Label of its space.

    Returns:
        The pairs, and subjects that have a single image and nothing to be registered to.

    Raises:
        DataError: no such data set, participant or image.
    """
    images = [image for image in find_images(root) if matches(image, wanted)]
    labels = [label.removeprefix('sub-') for label in subjects]
    present = {image.entities['sub'] for image in images}
    missing = [label for label in labels if label not in present]
    if missing or not images:
        told = ' '.join(f'{key}={value}' for key, value in wanted.items())
        whom = f'of sub-{", sub-".join(missing)} ' if missing else ''
        raise DataError(f'{root}: found no image {whom}with {told or "any name"}, expected at least one')
    pairs, single = [], []
    for subject in sorted(labels or present):
        own = sorted((one for one in images if one.entities['sub'] == subject), key=_order)
        if template is not None:
            pairs += [BidsPair(image, Path(template), space, Path(template).name) for image in own]
        elif len(own) == 1:
            single.append(subject)
        else:
            label = _space_of(own[0])
            pairs += [BidsPair(image, own[0].path, label, _uri(root, own[0])) for image in own[1:]]
    return pairs, single


def _order(image: BidsFile) -> tuple[str, str, str]:
    """Sessions and runs in the order of their labels."""
    run = image.entities.get('run', '0')
    return image.entities.get('ses', ''), run.zfill(6), image.path.name


def _space_of(image: BidsFile) -> str:
    """A label for the space of one of a subject's own images: its session and run."""
    parts = [f'{key}{image.entities[key]}' for key in ('ses', 'run') if key in image.entities]
    return ''.join(parts) or 'first'


def _uri(root: str | Path, image: BidsFile) -> str:
    return f'bids:raw:{image.path.relative_to(root).as_posix()}'


def describe(out_dir: Path, root: str | Path) -> None:
    """Write ``dataset_description.json`` and ``.bidsignore``, once."""
    out_dir.mkdir(parents=True, exist_ok=True)
    content = {
        'Name': 'Registrations by mmreg',
        'BIDSVersion': VERSION,
        'DatasetType': 'derivative',
        'GeneratedBy': [{'Name': 'mmreg', 'Version': __version__}],
        'DatasetLinks': {'raw': Path(root).resolve().as_uri()},
    }
    write_json(out_dir / 'dataset_description.json', content)
    write_text(out_dir / '.bidsignore', ''.join(f'{pattern}\n' for pattern in IGNORED))


def names_of(pair: BidsPair) -> dict[str, str]:
    """File of a result -> its name below the data set of derivatives."""
    stem, own = pair.moving.stem, pair.moving.suffix
    folder = pair.moving.folder.as_posix()
    return {
        'warped.nii.gz': f'{folder}/{stem}_space-{pair.space}_desc-warped_{own}.nii.gz',
        'transform.h5': f'{folder}/{stem}_from-{own}_to-{pair.space}_mode-image_xfm.h5',
        'inverse_transform.h5': f'{folder}/{stem}_from-{pair.space}_to-{own}_mode-image_xfm.h5',
        'report.html': f'{folder}/{stem}_space-{pair.space}_desc-registration_report.html',
        'metrics.json': f'{folder}/{stem}_space-{pair.space}_desc-registration_metrics.json',
    }


def sidecar(pair: BidsPair) -> str:
    """The JSON beside the warped image; it is written last."""
    return names_of(pair)['warped.nii.gz'].removesuffix('.nii.gz') + '.json'


def request(pair: BidsPair, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a result depends on: the two files and the settings."""
    return {'moving': digest(str(pair.moving.path)), 'fixed': digest(str(pair.fixed)), 'settings': dict(settings)}


def is_done(out_dir: Path, pair: BidsPair, wanted: Mapping[str, Any]) -> bool:
    """Whether the result of a pair is there, made from the same files and settings."""
    path = out_dir / sidecar(pair)
    try:
        content = read_json(path)
    except DataError:
        return False
    there = all(
        (out_dir / name).is_file() for name in (names_of(pair)['warped.nii.gz'], names_of(pair)['transform.h5'])
    )
    return there and isinstance(content, dict) and content.get('Registration', {}).get('Request') == wanted


def write_pair(
    result: RegistrationResult, out_dir: Path, root: str | Path, pair: BidsPair, wanted: Mapping[str, Any]
) -> Path:
    """Write a result under its names of BIDS; the sidecar comes last. Returns the warped image."""
    names = names_of(pair)
    with temporary_folder(out_dir, 'pair') as scratch:
        made = result.save(scratch / 'result', outputs=('warped', 'transforms', 'metrics', 'report'))
        for file, name in names.items():
            if (made / file).is_file():
                (out_dir / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(made / file, out_dir / name)
    warped = out_dir / names['warped.nii.gz']
    content = {
        'Sources': [_uri(root, pair.moving), pair.source],
        'SpatialReference': pair.source,
        'Resolution': f'that of the grid of {pair.source}',
        'Registration': {
            'Software': f'mmreg {__version__}', 'Preset': result.provenance.get('preset', {}).get('name'),
            'Warnings': list(result.warnings), 'Request': dict(wanted),
        },
    }  # fmt: skip
    write_json(out_dir / sidecar(pair), content)
    return warped
