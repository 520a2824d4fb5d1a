"""Transforms inverted and composed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmreg.io import Geometry, Transform
from mmreg.io.transform_parts import parts_of, simplified
from mmreg.registration.results.inverse import InverseResidual
from mmreg.registration.types import ImageLike

from .files import TransformLike, load_chain
from .inverse import invert_parts
from .reference import as_grid


class InvertedTransform(NamedTuple):
    """Moving world -> fixed world, and how far from the identity both maps together are (mm; zero for affines)."""

    transform: Transform
    residual: InverseResidual


def invert_transform(
    transform: TransformLike | Sequence[TransformLike], reference: ImageLike | Geometry | None = None
) -> InvertedTransform:
    """Invert a transform or chain: affines exactly, displacements by iteration on their own grid.

    Args:
        transform: fixed world -> moving world.
        reference: grid for parts that have none of their own (B-splines).

    Raises:
        DataError: unreadable, or such a part without a reference.

    Example:
        >>> import numpy as np
        >>> invert_transform(np.diag([2.0, 4.0, 1.0])).transform.affine.diagonal().tolist()
        [0.5, 0.25, 1.0]
    """
    chain = load_chain(transform)
    grid = None if reference is None else as_grid(reference)
    return InvertedTransform(*invert_parts(chain, grid))


def compose_transforms(transforms: Sequence[TransformLike]) -> Transform:
    """Chain transforms without sampling any of them: the first one meets the fixed point first.

    Neighbouring affines become one matrix.

    Raises:
        DataError: one cannot be read, or their dimensions differ.

    Example:
        >>> import numpy as np
        >>> compose_transforms([np.diag([2.0, 4.0, 1.0]), np.diag([3.0, 1.0, 1.0])]).affine.diagonal().tolist()
        [6.0, 4.0, 1.0]
    """
    return simplified(parts_of(load_chain(list(transforms))))
