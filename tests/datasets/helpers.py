"""Small data sets on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mmreg.io import Geometry, Volume, write_volume

SHAPE = (8, 9, 10)
SPACING = (1.0, 2.0, 3.0)


def image_array(seed: int = 0, shape=SHAPE, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) * scale).astype(np.float32)


def label_array(seed: int = 0, shape=SHAPE, values=(0, 1, 2, 3)) -> np.ndarray:
    return np.random.default_rng(seed).choice(values, size=shape).astype(np.int16)


def put(path: Path, array: np.ndarray, spacing=SPACING) -> Path:
    write_volume(path, Volume(array, Geometry.from_parts(array.shape, spacing=spacing[: array.ndim])))
    return path


def put_subject(folder: Path, name: str, seed: int, image='imagesTr', labels='labelsTr', scale=1.0, **kwargs) -> None:
    """An image and a label map of the same name in two folders."""
    put(folder / image / name, image_array(seed, scale=scale, **kwargs))
    if labels:
        put(folder / labels / name, label_array(seed, **kwargs))


def put_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def lumir_folder(folder: Path, training: int = 4, labelled: int = 3, pairs: int = 2, challenge: bool = False) -> Path:
    """LUMIR's layout: the authors' JSON, or the challenge's with the pairs under ``validation``."""
    for number in range(training):
        put_subject(folder, f'LUMIRMRI_{number:04d}_0000.nii.gz', number, labels='', scale=255)
    for number in range(100, 100 + labelled):
        put_subject(folder, f'LUMIRMRI_{number}_0000.nii.gz', number, labels='SanityCheckLabelsTr', scale=255)
    for number in range(200, 201 + pairs):
        put_subject(folder, f'LUMIRMRI_{number}_0000.nii.gz', number, image='imagesVal', labels='', scale=255)
    listed = [
        {'fixed': f'/imagesVal/LUMIRMRI_{n + 1}_0000.nii.gz', 'moving': f'/imagesVal/LUMIRMRI_{n}_0000.nii.gz'}
        for n in range(200, 200 + pairs)
    ]
    subjects = [
        {'image': f'/imagesTr/LUMIRMRI_{n}_0000.nii.gz', 'seg': f'/SanityCheckLabelsTr/LUMIRMRI_{n}_0000.nii.gz'}
        for n in range(100, 100 + labelled)
    ]
    content = {
        'name': 'LUMIR',
        'training': [{'image': f'/imagesTr/LUMIRMRI_{n:04d}_0000.nii.gz'} for n in range(training)],
        'validation': listed if challenge else subjects,
        'test': [] if challenge else listed,
    }
    put_json(folder / 'LUMIR_dataset.json', content)
    return folder


def pair_csv(folder: Path, rows: list[dict], name: str = 'pairs.csv') -> Path:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [','.join(columns)] + [','.join(str(row.get(c, '')) for c in columns) for row in rows]
    path = folder / name
    path.write_text('\n'.join(lines) + '\n')
    return path


def pair_folder(folder: Path, **kwargs) -> Path:
    """Two labelled images ``a`` and ``b`` and a list with the one pair."""
    for seed, name in enumerate('ab'):
        put(folder / f'{name}.nii.gz', image_array(seed, **kwargs))
        put(folder / f'{name}_seg.nii.gz', label_array(seed, **kwargs))
    row = dict(fixed='a.nii.gz', moving='b.nii.gz', fixed_labels='a_seg.nii.gz', moving_labels='b_seg.nii.gz')
    return pair_csv(folder, [row])
