"""LUMIR as the challenge ships it: its JSON, unlabelled validation pairs, labels of a few training scans only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .volumes import anatomy, put, put_json

SHAPE = (32, 48, 32)
#: Labels of the challenge's list of 133 that the made label maps hold.
VALUES = np.array([0, 4, 11, 23, 30])
#: Fixed = moving + 1; the first pairs are scored by labels, the others by landmarks.
SEGMENTED, LANDMARKED = ((3455, 3454), (3456, 3455)), ((3485, 3484),)


def make_lumir(root: Path, training: int = 3, sanity: int = 0) -> Path:
    """Write ``root`` with ``training`` scans and the validation pairs; ``sanity`` scans more come with label maps."""
    numbers = list(range(training))
    checked = list(range(3364, 3364 + sanity))
    for number in numbers + checked:
        _put(root / 'imagesTr', number, scan(number))
    for number in checked:
        _put(root / 'SanityCheckLabelsTr', number, label_map(number))
    for number in sorted({n for pair in SEGMENTED + LANDMARKED for n in pair}):
        _put(root / 'imagesVal', number, scan(number))
    put_json(root / 'LUMIR_dataset.json', content(numbers + checked))
    return root


def make_truth(root: Path) -> Path:
    """The challenge's own evaluation folder: images, labels, landmarks and the two configurations by their names."""
    for number in sorted({n for pair in SEGMENTED for n in pair}):
        _put(root / 'imagesVal', number, scan(number))
        _put(root / 'labelsVal', number, label_map(number))
    for number in sorted({n for pair in LANDMARKED for n in pair}):
        _put(root / 'imagesVal', number, scan(number))
        points = np.zeros(SHAPE, np.int16)
        for value, place in enumerate(((8, 10, 12), (20, 18, 9)), start=1):
            points[tuple(slice(n + number % 2, n + 3 + number % 2) for n in place)] = value
        _put(root / 'landmarksVal', number, points)
    overlap = [
        {'name': name, 'metric': metric, 'labels': VALUES.tolist()}
        for name, metric in (('DSC', 'dice'), ('HD95', 'hd95'))
    ]
    _config(root / 'LUMIR_VAL_Segmentation_evaluation_config.json', SEGMENTED, overlap)
    landmarks = [{'name': 'TRE_lm', 'metric': 'tre', 'dest': 'landmarks'}]
    _config(root / 'LUMIR_VAL_Landmark_evaluation_config.json', LANDMARKED, landmarks)
    return root


def content(training: list[int]) -> dict:
    """The challenge's JSON, key by key."""
    pairs = [
        {'fixed': f'./imagesVal/{name(fixed)}', 'moving': f'./imagesVal/{name(moving)}'}
        for fixed, moving in SEGMENTED + LANDMARKED
    ]
    return {
        'name': 'LUMIR',
        'release': '0.1',
        'description': 'Training and validation dataset of a brain registration challenge.',
        'license': 'CC BY 4.0',
        'pairings': 'unpaired',
        'provided_data': {'0': ['image']},
        'modality': {'0': 'T1w Brain MRI'},
        'labels': {},
        'tensorImageSize': {'0': '3D'},
        'tensorImageShape': {'0': list(SHAPE)},
        'numTraining': len(training),
        'training': [{'image': f'/imagesTr/{name(number)}'} for number in training],
        'numValidation': len(pairs),
        'validation': pairs,
        'numTest': 0,
        'test': [],
    }


def name(number: int, modality: int = 0) -> str:
    return f'LUMIRMRI_{number:04d}_{modality:04d}.nii.gz'


def scan(number: int) -> np.ndarray:
    """Intensities 0 to 255."""
    return (255 * anatomy(number, SHAPE)[0]).round().clip(0, 255).astype(np.uint8)


def label_map(number: int) -> np.ndarray:
    return VALUES[anatomy(number, SHAPE, len(VALUES) - 1)[1]].astype(np.int16)


def _put(folder: Path, number: int, array: np.ndarray) -> None:
    put(folder / name(number), array)


def _config(path: Path, pairs: tuple[tuple[int, int], ...], methods: list[dict]) -> None:
    measured = [{'name': 'Non-diffeomorphic Volumes', 'metric': 'ndv'}, *methods]
    listed = [{'fixed': f'./imagesVal/{name(f)}', 'moving': f'./imagesVal/{name(m)}'} for f, m in pairs]
    config = {
        'name': 'LUMIR',
        'evaluation_methods': measured,
        'expected_shape': [*SHAPE, 3],
        'eval_pairs': listed,
        'eval_config_version': 0.0,
        'masked_evaluation': False,
    }
    put_json(path, config)
