"""Groups of small scans whose truth is known."""

from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from mmreg import spatial
from mmreg.io import Geometry, Volume, write_volume
from mmreg.registration.options import RunOptions

#: A quick registration.
QUICK = RunOptions(
    preset='generic',
    cfg_options={'optimisation.levels': [{'spacing': 8.0, 'iterations': 8}, {'spacing': 4.0, 'iterations': 8}]},
)


def phantom(ndim, size=32):
    """Image and labels of a pear with two organs, mirrored along the first axis, and its grid."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size)] * ndim, indexing='ij'))
    width = 0.65 - 0.35 * grid[1]  # a pear, so that no turn brings it onto itself
    outer = np.sqrt((grid[0] / width) ** 2 + (grid[1:] ** 2).sum(0) / 0.8**2)
    organ = np.sqrt((np.abs(grid[0]) - 0.25) ** 2 + ((grid[1:] + 0.15) ** 2).sum(0)) < 0.16
    other = np.sqrt(grid[0] ** 2 + ((grid[1:] - 0.35) ** 2).sum(0)) < 0.18
    image = 100.0 * (outer < 1) + 60 * organ + 90 * other
    labels = organ.astype(np.int32) + 2 * other
    geometry = Geometry.from_parts((size,) * ndim, (4.0,) * ndim, (-2.0 * (size - 1),) * ndim)
    return gaussian_filter(image, 0.6).astype(np.float32), labels, geometry


def group(folder: Path, count=4, ndim=2, size=32, strength=1.5, seed=0):
    """Write scans whose displacements have the mean zero; returns images, label maps, and the truth."""
    image, labels, geometry = phantom(ndim, size)
    generator = np.random.default_rng(seed)
    fields = np.stack(
        [
            np.stack([gaussian_filter(generator.normal(size=(size,) * ndim), 5) for _ in range(ndim)])
            for _ in range(count)
        ]
    )
    fields -= fields.mean(0)
    fields *= strength / fields.std()
    images, maps = [], []
    for number, field in enumerate(fields):
        moved = torch.from_numpy(field.astype(np.float32))[None]
        warped = spatial.warp(torch.from_numpy(image)[None, None], moved)[0, 0].numpy()
        own = spatial.warp_labels(torch.from_numpy(labels)[None, None], moved)[0, 0].numpy().astype(np.int32)
        noise = generator.normal(0, 1, image.shape)
        scale = 1 + 0.3 * number
        for name, array, files in (
            (f'scan{number}', (np.maximum(warped + noise, 0) * scale).astype(np.float32), images),
            (f'labels{number}', own, maps),
        ):
            files.append(folder / f'{name}.nii.gz')
            write_volume(files[-1], Volume(array, geometry))
    return images, maps, Volume(image, geometry)
