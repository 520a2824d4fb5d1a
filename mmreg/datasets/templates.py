"""What simulated subjects are made from: one image and the probability of each tissue at every voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mmreg.errors import ConfigError

from .seeding import stable_seed
from .transforms.grid import crop_array, foreground_box
from .transforms.roles import shift_origin

TISSUES = ('inner fluid', 'outer grey matter', 'white matter', 'inner grey matter')
#: Depth below the brain's outer surface from which grey matter counts as inner, in mm.
_INNER_GREY_MM = 24.0
#: The same for fluid. What lies above it are thin sulci, which the 2 mm grid does not resolve.
_INNER_FLUID_MM = 14.0


@dataclass(frozen=True)
class Template:
    """One image with its tissues.

    Attributes:
        image: ``(1, *spatial)`` float32 in [0, 1].
        tissues: ``(L, *spatial)`` float32 probabilities of labels 1..L; what is missing to 1 is background.
        affine: Voxel -> RAS+ mm.
        names: Name of each label.
    """

    image: Tensor
    tissues: Tensor
    affine: np.ndarray
    names: tuple[str, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels per axis."""
        return tuple(self.image.shape[1:])

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size per axis, mm."""
        return tuple(float(s) for s in np.linalg.norm(self.affine[:-1, : len(self.size)], axis=0))


@lru_cache(maxsize=2)
def brain_template(resolution: int = 2, multiple: int = 16) -> Template:
    """The MNI152 T1 template with its tissue maps, both packaged with nilearn, cropped around the brain.

    Four labels: inner fluid (what is neither grey nor white matter, more than 14 mm below the brain's surface: mainly
    ventricles and cisterns), outer grey matter, white matter, and inner grey matter (more than 24 mm deep: nuclei and
    medial cortex). Fluid nearer to the surface stays unlabelled.

    Args:
        resolution: Voxel size in whole mm.
        multiple: Each axis of the grid is a multiple of this; 80x96x80 at 2 mm.

    Raises:
        ConfigError: nilearn is not installed.
    """
    t1, grey, white, affine = _load_mni(resolution)
    mask = ndimage.binary_fill_holes(t1 > 0.1)
    low, high = foreground_box(mask)
    size = -(-(high - low) // multiple) * multiple
    start = (low + high) // 2 - size // 2
    t1, grey, white, brain = (crop_array(a[None], start, tuple(size))[0] for a in (t1, grey, white, mask))
    depth = ndimage.distance_transform_edt(brain, sampling=resolution)
    inner = grey * (depth > _INNER_GREY_MM)
    fluid = np.clip(1 - grey - white, 0, 1) * (depth > _INNER_FLUID_MM)
    tissues = np.stack([fluid, grey - inner, white, inner]).astype(np.float32) * brain
    image = (t1 * brain / t1.max())[None].astype(np.float32)
    return Template(torch.from_numpy(image), torch.from_numpy(tissues), shift_origin(affine, start), TISSUES)


def _load_mni(resolution: int) -> tuple[np.ndarray, ...]:
    """T1, grey and white matter in [0, 1] of nilearn's package data, and their affine."""
    try:
        from nilearn import datasets
    except ImportError as error:
        raise ConfigError(
            'The simulated brains need the template that nilearn ships, and nilearn is not installed: '
            "pip install 'mmreg[demo]'."
        ) from error
    t1 = datasets.load_mni152_template(resolution=resolution)
    grey = datasets.load_mni152_gm_template(resolution=resolution)
    white = datasets.load_mni152_wm_template(resolution=resolution)
    arrays = [np.clip(np.asarray(image.dataobj, dtype=np.float32), 0, 1) for image in (t1, grey, white)]
    return *arrays, np.asarray(t1.affine, dtype=np.float64)


@lru_cache(maxsize=8)
def shapes_template(size: Sequence[int], labels: int = 4, seed: int = 0) -> Template:
    """A rounded body filled with smooth random regions, each of its own brightness, with a little texture.

    Args:
        size: Spatial size, a tuple; any number of axes.
        labels: Number of regions.
        seed: Another body for each seed.
    """
    rng = np.random.default_rng(stable_seed(seed, *size))
    sigma = max(1.5, min(size) / 10)
    fields = np.stack([ndimage.gaussian_filter(rng.standard_normal(size), sigma) for _ in range(labels)])
    coordinates = np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing='ij')
    body = sum(c**2 for c in coordinates) < 0.72
    hard = np.where(body, fields.argmax(0) + 1, 0)
    tissues = np.stack([ndimage.gaussian_filter((hard == k).astype(np.float64), 0.7) for k in range(1, labels + 1)])
    levels = rng.permutation(np.linspace(0.35, 1.0, labels))
    texture = ndimage.gaussian_filter(rng.standard_normal(size), 1.0)
    image = np.tensordot(levels, tissues, axes=1) + 0.05 * texture / texture.std() * tissues.sum(0)
    return Template(
        torch.from_numpy(np.clip(image, 0, 1)[None].astype(np.float32)),
        torch.from_numpy(tissues.astype(np.float32)),
        np.eye(len(size) + 1),
        tuple(f'region {k}' for k in range(1, labels + 1)),
    )
