"""A toy data set in the Learn2Reg layout, and fields for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mmreg.io import Geometry, Volume, write_learn2reg_nifti, write_volume
from tests.golden.fill import flow, image, labels

SHAPE = (16, 14, 12)
SPACING = (1.5, 1.0, 2.0)
IDS = (1, 2)


def field(number: int) -> np.ndarray:
    """``(3, *SHAPE)`` float32 voxels."""
    return flow(number, SHAPE, 2.0)


def make_truth(root: Path) -> Path:
    """Images, labels, masks and keypoints of two pairs, with the evaluation config and a data-set JSON."""
    geometry = Geometry(SHAPE, np.diag([*SPACING, 1.0]))
    for folder in ('imagesTr', 'labelsTr', 'masksTr', 'keypointsTr'):
        (root / folder).mkdir(parents=True)
    pairs = []
    for number in IDS:
        for side in (0, 1):
            seed = 10 * number + side
            name = f'Toy_{number:04d}_{side:04d}'
            write_volume(root / f'imagesTr/{name}.nii.gz', Volume(image(seed, SHAPE), geometry))
            label_map = labels(number, SHAPE, 4, sigma=3.0)
            label_map = np.roll(label_map, side, 0)
            write_volume(root / f'labelsTr/{name}.nii.gz', Volume(label_map.astype(np.uint8), geometry))
            mask = image(seed, SHAPE) > 0.4
            write_volume(root / f'masksTr/{name}.nii.gz', Volume(mask.astype(np.uint8), geometry))
            points = np.random.default_rng(seed).uniform(3, 9, (5, 3))
            np.savetxt(root / f'keypointsTr/{name}.csv', points, delimiter=',')
        pairs.append({
            'fixed': f'./imagesTr/Toy_{number:04d}_0000.nii.gz', 'moving': f'./imagesTr/Toy_{number:04d}_0001.nii.gz'
        })  # fmt: skip
    config = {
        'task_name': 'Toy',
        'evaluation_methods': [
            {'name': 'LogJacDetStd', 'metric': 'sdlogj'},
            {'name': 'DSC', 'metric': 'dice', 'labels': [1, 2, 3, 9]},
            {'name': 'HD95', 'metric': 'hd95', 'labels': [1, 2, 3, 9]},
            {'name': 'TRE_kp', 'metric': 'tre', 'dest': 'keypoints'},
            {'name': 'NDV', 'metric': 'ndv'},
        ],
        'expected_shape': [*SHAPE, 3],
        'eval_pairs': pairs,
        'masked_evaluation': True,
    }
    (root / 'evaluation_config.json').write_text(json.dumps(config))
    (root / 'Toy_dataset.json').write_text(json.dumps({'name': 'Toy', 'registration_val': pairs}))
    return root


def make_submission(folder: Path) -> Path:
    """One displacement file per pair."""
    folder.mkdir(parents=True)
    for number in IDS:
        write_learn2reg_nifti(folder / f'disp_{number:04d}_{number:04d}.nii.gz', field(number))
    return folder
