"""What every loss shares: the four kinds, the precision rule, masks.

A loss is a registered ``nn.Module`` that returns one scalar, lower is better, and knows nothing of the network. Its
``kind`` says which tensors the objective hands to it:

============  ==========================================  =====================================
kind          call                                        shapes
============  ==========================================  =====================================
image         ``(warped, fixed, mask=None)``              ``(N, C, *spatial)``
label         ``(warped_onehot, fixed_onehot, mask)``     ``(N, K, *spatial)``
field         ``(field, labels=None, mask=None)``         ``(N, ndim, *spatial)``, voxels
consistency   ``(forward, backward, mask=None)``          ``(N, ndim, *spatial)``, voxels
landmark      ``(warped_points, target_points)``          ``(N, P, ndim)``, voxels
============  ==========================================  =====================================

Precision rule, the same everywhere: float64 is computed in float64, everything else in float32, and autocast is off
inside a loss (sums of squares over a window lose all digits in half precision).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmreg.errors import InputError
from mmreg.spatial import resize, warp
from mmreg.spatial.masked import masked_mean as masked_mean  # losses of plugins import it from here
from mmreg.spatial.precision import full_precision, without_autocast

KINDS = ('image', 'label', 'field', 'consistency', 'landmark')


class Loss(nn.Module):
    """Base of all losses.

    Attributes:
        kind: Which tensors the objective hands over, see the table of the module.
        requires: Names of the optional arguments that this loss cannot do without (``'labels'``, ``'mask'``); the
            objective refuses a configuration that does not supply them.
        extras: Names among the ``extras`` of :class:`~mmreg.structures.Fields` that are handed over as keywords.
        takes: Keywords that the loss is given where they are known: ``'spacing'``, the voxel size in mm per axis of the
            level's images.
        label_frame: Whose ``labels`` a field loss is given, those of the ``'fixed'`` or of the ``'moving'`` image.
    """

    kind: ClassVar[str]
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    label_frame: str = 'fixed'

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        kind = getattr(cls, 'kind', None)
        if kind is not None and kind not in KINDS:
            raise TypeError(f'{cls.__name__}.kind is {kind!r}, expected one of {KINDS}')


class ImageLoss(Loss):
    """Base of the image losses: checks the shapes, applies the precision rule, brings the mask to the image's grid.

    Subclasses implement :meth:`energy`.
    """

    kind = 'image'

    def forward(self, warped: Tensor, fixed: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scalar dissimilarity of two images.

        Args:
            warped: Moving image on the fixed grid, ``(N, C, *spatial)``.
            fixed: Same shape.
            mask: Optional weights ``(N, 1, *spatial)``, boolean or in [0, 1]; another spatial size is resized linearly.

        Raises:
            InputError: the shapes differ.
        """
        warped, fixed, mask = self.checked(warped, fixed, mask)
        with without_autocast(warped):
            return self.energy(warped, fixed, mask)

    def checked(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """What :meth:`forward` is given, of equal shape ``(N, C, *spatial)`` and in full precision."""
        same_shape(self, warped=warped, fixed=fixed)
        warped, fixed = full_precision(warped, fixed)
        with without_autocast(warped):
            return warped, fixed, prepare_mask(mask, warped)

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """The loss of images in full precision; ``mask`` is ``(N, 1, *spatial)`` in the images' dtype, or None."""
        raise NotImplementedError


class LabelLoss(Loss):
    """Base of the label losses ``(warped_onehot, fixed_onehot, mask=None) -> scalar`` on ``(N, K, *spatial)``."""

    kind = 'label'

    def from_labels(
        self,
        moving_labels: Tensor,
        fixed_labels: Tensor,
        displacement: Tensor,
        classes: Sequence[int],
        mask: Tensor | None = None,
    ) -> Tensor:
        """The same loss on label maps, the moving one warped linearly.

        What stands here warps the one-hot volume of ``classes``; a loss that can do without that volume overrides it.

        Args:
            moving_labels: ``(N, 1, *spatial)``, integers.
            fixed_labels: The same.
            displacement: ``(N, ndim, *spatial)``, voxels.
            classes: Label values in the order of the channels, the background first.
            mask: Optional weights ``(N, 1, *spatial)``.
        """
        moving, fixed = (one_hot(labels, classes) for labels in (moving_labels, fixed_labels))
        return self(warp(moving, displacement), fixed, mask=mask)


def one_hot(labels: Tensor, values: Iterable[int]) -> Tensor:
    """Labels ``(N, 1, *spatial)`` as float channels ``(N, len(values), *spatial)``; other values are 0 everywhere."""
    return torch.cat([labels == value for value in values], dim=1).float()


def same_shape(part: object, **tensors: Tensor) -> None:
    """Refuse tensors of different shapes in one sentence that names them."""
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    if len(set(shapes.values())) > 1:
        found = ' and '.join(f'{name} {shape}' for name, shape in shapes.items())
        raise InputError(f'{type(part).__name__} got {found}, expected equal shapes.')


def prepare_mask(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """``mask`` as ``(N, 1, *spatial)`` weights in the dtype and on the grid of ``like``, without gradient."""
    if mask is None:
        return None
    if mask.ndim != like.ndim or mask.shape[0] not in (1, like.shape[0]) or mask.shape[1] != 1:
        raise InputError(
            f'mask has shape {tuple(mask.shape)}, expected (N, 1, *spatial) for data of shape {tuple(like.shape)}.'
        )
    mask = mask.detach().to(like.dtype)
    return mask if mask.shape[2:] == like.shape[2:] else resize(mask, size=tuple(like.shape[2:]))
