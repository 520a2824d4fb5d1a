"""Cardiac cine data sets as distributed: two frames of every patient, under the names that the configs read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.datasets.transforms import CropAroundLabels, ToSpacing
from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, read_labels, read_volume, write_volume
from mmreg.io.cine import phases
from mmreg.io.csv_text import named_rows
from mmreg.io.tables import write_table
from mmreg.utils.text_files import read_text

#: Iterates over work and shows where it is.
Track = Callable[[Sequence[Any]], Iterable[Any]]
#: Grid of ACDC as its published 3-D experiments have it.
ACDC_SIZE, ACDC_SPACING = (128, 128, 16), (1.8, 1.8, 10.0)
_PHASES = ('ED', 'ES')


def prepare_acdc(source: Path, target: Path, track: Track = iter) -> int:
    """ACDC in 3-D: both frames of 1-150 at 1.8x1.8x10 mm, 128x128x16 around the heart's labels.

    Size and spacing are those of the published experiments, whose own script was not published: images are resampled
    linearly, labels to the nearest, and both are cropped or padded around the middle of the labels of both frames; of a
    patient without labels around the middle of the images.
    """
    folders = sorted(path.parent for path in source.rglob('Info.cfg') if path.parent.name.startswith('patient'))
    if not folders:
        raise DataError(f'{source}: found no patient folder with an Info.cfg, expected ACDC as its site ships it.')
    for folder in track(folders):
        frames = phases(folder / 'Info.cfg')
        pair: dict[str, Any] = {}
        for role, phase in (('fixed', 'ED'), ('moving', 'ES')):
            stem = folder / f'{folder.name}_frame{frames[phase]:02d}'
            image = read_volume(f'{stem}.nii.gz')
            sample = {'image': image.channel_first(), 'affine': np.array(image.geometry.affine)}
            if Path(f'{stem}_gt.nii.gz').is_file():
                sample['labels'] = read_labels(f'{stem}_gt.nii.gz').channel_first()
            pair |= {f'{role}{key}': value for key, value in _named(ToSpacing(ACDC_SPACING)(sample)).items()}
        pair = CropAroundLabels(ACDC_SIZE)(pair)
        number = _whole(folder.name.removeprefix('patient'), 'the number of a patient', folder)
        split = 'train' if number <= 100 else 'test'
        for role, phase in (('fixed', 'ed'), ('moving', 'es')):
            grid = Geometry(ACDC_SIZE, pair[f'{role}_affine'])
            for name, key in (('img', role), ('seg', f'{role}_labels')):
                if key not in pair:
                    continue
                path = target / split / f'{folder.name}_{phase}_{name}.nii.gz'
                write_volume(_made(path), Volume(np.ascontiguousarray(pair[key][0]), grid))
    return len(folders)


def _named(sample: dict[str, Any]) -> dict[str, Any]:
    """Entries of one image by the ending that they have in a pair."""
    found = {'': sample['image'], '_affine': sample['affine']}
    return found | ({'_labels': sample['labels']} if 'labels' in sample else {})


def prepare_mms(source: Path, target: Path, track: Track = iter) -> int:
    """M&Ms: frames ED and ES of the 4-D files, by the challenge's own table; its training, validation and test lists.

    Subjects without labels are left out.
    """
    table, rows = _table(source, ('External code', 'ED', 'ES'))
    files = {path.name.removesuffix('_sa.nii.gz'): path for path in source.rglob('*_sa.nii.gz')}
    wanted = [row for row in rows if row['External code'] in files]
    if not wanted:
        raise DataError(f'{source}: found no file CODE_sa.nii.gz of a subject in {table}, expected those of M&Ms.')
    kept = []
    for row in track(wanted):
        image = files[row['External code']]
        labels = image.with_name(image.name.replace('_sa.', '_sa_gt.'))
        if not labels.is_file():
            continue
        folder = target / _split_of(image) / row['External code']
        for phase in _PHASES:
            number = _frame(row, phase, table) + 1  # the table counts from 0
            write_volume(_made(folder / f'{phase}_img.nii.gz'), read_volume(image, frame=number))
            write_volume(folder / f'{phase}_seg.nii.gz', read_labels(labels, frame=number))
        kept.append({'External code': row['External code'], 'Vendor': row.get('Vendor', '')})
    return _listed(target, kept, image_of=f'{source} with labels')


def prepare_mms2(source: Path, target: Path, track: Track = iter) -> int:
    """M&Ms-2: the short-axis frames; subjects 1-160 train, 161-200 validate, 201-360 test, as in the challenge."""
    _, rows = _table(source, ('SUBJECT_CODE', 'VENDOR'))
    vendors = {f'{_whole(row["SUBJECT_CODE"], "SUBJECT_CODE", source):03d}': row['VENDOR'] for row in rows}
    folders = sorted({path.parent for path in source.rglob('*_SA_ED.nii.gz')})
    kept = []
    for folder in track(folders):
        name = folder.name
        files = {(phase, kind): folder / f'{name}_SA_{phase}{kind}.nii.gz' for phase in _PHASES for kind in ('', '_gt')}
        if not all(path.is_file() for path in files.values()):
            continue
        number = _whole(name, 'the name of a folder of a subject', source)
        split = 'train' if number <= 160 else 'val' if number <= 200 else 'test'
        for (phase, kind), path in files.items():
            volume = read_labels(path) if kind else read_volume(path)
            write_volume(_made(target / split / name / f'{phase}_{"seg" if kind else "img"}.nii.gz'), volume)
        kept.append({'External code': name, 'Vendor': vendors.get(name, '')})
    return _listed(target, kept, image_of=f'{source} (001/001_SA_ED.nii.gz and its label maps)')


#: Folders of M&Ms -> ours.
_SPLITS = {'training': 'train', 'validation': 'val', 'testing': 'test'}


def _split_of(path: Path) -> str:
    """By the nearest folder above that names a split: one further up may be anybody's."""
    return next((_SPLITS[part.lower()] for part in reversed(path.parts) if part.lower() in _SPLITS), 'test')


def _whole(text: str, what: str, where: Path) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f'{where}: found {text[:60]!r} as {what}, expected a whole number.') from error


def _frame(row: dict[str, str], phase: str, table: Path) -> int:
    try:
        return int(float(row[phase]))
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f'{table}: found {row[phase]!r} in the column {phase} of {row["External code"]}, expected the number of a '
            'frame.'
        ) from None


def _table(source: Path, columns: Sequence[str]) -> tuple[Path, list[dict[str, str]]]:
    """The CSV of a challenge: the first below ``source`` that has these columns."""
    for path in _tables(source):
        rows = named_rows(read_text(path, 'the table of the challenge'), path)
        if rows and set(columns) <= set(rows[0]):
            return path, rows
    raise DataError(
        f'{source}: found no CSV with the columns {", ".join(columns)}, expected the table of the challenge.'
    )


def _tables(source: Path) -> Iterator[Path]:
    return iter(sorted([*source.rglob('*.csv'), *source.parent.glob('*.csv')]))


def _listed(target: Path, rows: list[dict[str, str]], image_of: str) -> int:
    if not rows:
        raise DataError(f'found no subject in {image_of}, expected some.')
    write_table(target / 'information.csv', list(rows[0]), rows)
    return len(rows)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
