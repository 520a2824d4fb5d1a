"""The plane in which a template is its own mirror image."""

from __future__ import annotations

import numpy as np

from mmreg.io import Volume
from mmreg.populations.affine_means import power_of
from mmreg.registration.options import RunOptions
from mmreg.registration.register import make_pipeline


def upright(template: Volume, seed: int = 0) -> np.ndarray:
    """The rigid map after which the middle of the first axis is the plane of symmetry.

    The template is registered to its mirror image, rigidly; half of that motion brings the plane to the middle.

    Args:
        template: On a grid whose first axis runs from left to right.
        seed: Of the search.

    Returns:
        ``(ndim+1, ndim+1)``: upright world -> world of the template, RAS mm. Used as ``affine @ upright``.
    """
    mirror = Volume(np.ascontiguousarray(template.array[::-1]), template.geometry)
    pipeline = make_pipeline(RunOptions(only='rigid', seed=seed))
    found = pipeline(template, mirror, affine='rigid', inverse=False, metrics=False).affine
    turned = np.eye(template.ndim + 1) if found is None else found
    return power_of(turned, -0.5)
