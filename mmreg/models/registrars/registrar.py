"""The registrar: one pipeline of registered parts as an MMEngine model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmreg.errors import ConfigError, DataError
from mmreg.models.base import common_divisor
from mmreg.models.objective import Objective
from mmreg.models.padding import crop, pad, padding_to
from mmreg.registry import BACKBONES, FLOW_HEADS, INTEGRATORS, REGISTRARS
from mmreg.spatial import sample, warp, warp_labels, world_matrix
from mmreg.spatial.constants import constant
from mmreg.structures import Fields, RegSample

_LANDMARKS = ('fixed_landmarks', 'moving_landmarks')
#: Tensors of the inputs that a predicted sample carries on, for metrics and figures.
_CARRIED = (
    *('fixed', 'moving', 'fixed_labels', 'moving_labels', 'fixed_mask', 'moving_mask'),
    *('true_displacement', 'true_displacement_valid'),
)
#: ``Fields.extras``: maps ``(N, C, *spatial)`` of the fixed grid that predicted samples carry (uncertainty, ...).
MAPS = 'maps'
#: ``Fields.extras``: matrices ``(N, ndim+1, ndim+1)`` of heads that find one, fixed -> moving voxels, padded grids.
AFFINE = 'affine'


@REGISTRARS.register_module()
class Registrar(BaseModel):
    """images -> backbone -> features -> flow head (with integrator) -> fields -> warp -> losses.

    Args:
        backbone: Config in BACKBONES.
        flow_head: Config in FLOW_HEADS; it is built with what the backbone returns.
        integrator: Config in INTEGRATORS.
        losses: Named losses, see :class:`~mmreg.models.objective.Objective`; None for a model that is only run.
        pyramid: Image pyramid of the losses: ``kernel`` and ``factors`` of :func:`mmreg.spatial.image_pyramid`.
        label_values: Number of classes (0..n-1) or the label values that one-hot channels stand for.
        label_warp: ``'nearest'``, or ``'linear'`` (argmax of the linearly warped one-hot): how predicted labels are
            warped.
        pad: Pad inputs (zeros, symmetric) to the size the parts need and crop the result. False: a size that does not
            fit is an error.
        checkpoint_levels: How many of the finest levels recompute their activations in the backward pass.
        ndim: Number of spatial axes.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        flow_head: dict[str, Any],
        integrator: dict[str, Any] | None = None,
        losses: Mapping[str, dict[str, Any]] | None = None,
        pyramid: Mapping[str, Any] | None = None,
        label_values: int | Sequence[int] | None = None,
        label_warp: str = 'nearest',
        pad: bool = True,
        checkpoint_levels: int = 0,
        ndim: int = 3,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ):
        super().__init__(data_preprocessor or {'type': 'mmreg.RegDataPreprocessor'}, init_cfg)
        if label_warp not in ('nearest', 'linear'):
            raise ConfigError(f"model.label_warp is {label_warp!r}, expected 'nearest' or 'linear'.")
        self.ndim = ndim
        self.backbone = BACKBONES.build({'ndim': ndim, **backbone})
        self.flow_head = FLOW_HEADS.build({'features': self.backbone.spec, **flow_head})
        self.integrator = INTEGRATORS.build(integrator or {'type': 'IdentityIntegrator'})
        self.flow_head.check_integrator(self.integrator)
        self.objective = Objective(losses, pyramid, label_values) if losses else None
        self.label_warp = label_warp
        self.pad = pad
        self.backbone.checkpoint_levels = self.flow_head.checkpoint_levels = checkpoint_levels

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """Each axis is padded to a multiple of this."""
        return common_divisor(self.backbone.spec.size_divisor, self.flow_head.size_divisor)

    @property
    def min_size(self) -> tuple[int, ...]:
        """Each axis is padded to at least this many voxels."""
        return tuple(max(pair) for pair in zip(self.backbone.spec.min_size, self.flow_head.min_size))

    def forward(
        self, inputs: dict[str, Any], data_samples: list[RegSample] | None = None, mode: str = 'tensor'
    ) -> Fields | dict[str, Tensor] | list[RegSample]:
        """Run a batch.

        Args:
            inputs: ``fixed``, ``moving`` ``(N, C, *spatial)``; optional ``fixed_labels``, ``moving_labels``
                ``(N, 1, *spatial)``, masks, and landmarks (a list of ``(P, ndim)``, voxels).
            data_samples: One per pair; ``predict`` makes empty ones where None.
            mode: ``'tensor'``: :class:`Fields`, the finest displacement cropped to the fixed grid; ``'loss'``: named
                scalars; ``'predict'``: samples with ``pred``.

        Raises:
            DataError: images of different shape, of another number of axes than the model, or of a size that does
                not fit while ``pad=False``.
        """
        widths = self._check(inputs)
        if mode == 'tensor':
            return self._cropped(inputs, widths)
        if mode == 'loss':
            return self._loss(inputs, widths)
        if mode == 'predict':
            return self._predict(inputs, data_samples, widths)
        raise ConfigError(f"mode is {mode!r}, expected 'tensor', 'loss' or 'predict'.")

    def _check(self, inputs: Mapping[str, Any]) -> list[tuple[int, int]]:
        fixed, moving = inputs['fixed'], inputs['moving']
        if fixed.dim() != self.ndim + 2:
            raise DataError(
                f'fixed has the shape {tuple(fixed.shape)}, expected (N, C, *spatial) with {self.ndim} spatial axes.'
            )
        if fixed.shape != moving.shape:
            raise DataError(
                f'moving has the shape {tuple(moving.shape)}, expected that of fixed, {tuple(fixed.shape)}: '
                'resample it to the fixed grid first.'
            )
        channels = self.backbone.spec.image_channels
        if fixed.shape[1] != channels:
            raise DataError(
                f'fixed has {fixed.shape[1]} channels, expected {channels} (image_channels of the backbone).'
            )
        size = tuple(fixed.shape[2:])
        widths = padding_to(size, self.size_divisor, self.min_size)
        if not self.pad and any(before or after for before, after in widths):
            raise DataError(
                f'fixed has the size {size}, expected multiples of {self.size_divisor} and at least {self.min_size} '
                '(or pad=True).'
            )
        return widths

    def _padded(self, inputs: Mapping[str, Any], widths: Sequence[tuple[int, int]]) -> dict[str, Any]:
        if not any(before or after for before, after in widths):
            return dict(inputs)
        size = inputs['fixed'].shape[2:]
        result: dict[str, Any] = {}
        for key, value in inputs.items():
            if key in _LANDMARKS:
                result[key] = [points + constant([before for before, _ in widths], points) for points in value]
            elif isinstance(value, Tensor) and value.shape[2:] == size:
                result[key] = pad(value, widths)
            else:
                result[key] = value
        return result

    def fields(self, inputs: Mapping[str, Any]) -> Fields:
        """Fields of one batch; what a method that needs another way to them overrides.

        Args:
            inputs: As for :meth:`forward`, padded to a size that the parts can work with.

        Returns:
            Fields on the padded grids; those on the finest one are cropped afterwards, maps among them.
        """
        features = self.backbone(inputs['fixed'], inputs['moving'])
        return self.flow_head(features, self.integrator, inputs)

    def training_pairs(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The pairs that a training step sees: those of the batch. A method that forms others overrides this."""
        return inputs

    def _cropped(self, inputs: Mapping[str, Any], widths: Sequence[tuple[int, int]]) -> Fields:
        """Fields on the grid of the inputs; coarser ones stay on their padded grids."""
        padded = tuple(n + b + a for n, (b, a) in zip(inputs['fixed'].shape[2:], widths))

        def cropped(field: Tensor) -> Tensor:
            return crop(field, widths) if tuple(field.shape[2:]) == padded else field

        fields = self.fields(self._padded(inputs, widths)).map(cropped)
        if MAPS in fields.extras:
            fields.extras = {**fields.extras, MAPS: {k: cropped(v) for k, v in fields.extras[MAPS].items()}}
        return fields

    def _loss(self, inputs: Mapping[str, Any], widths: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        if self.objective is None:
            raise ConfigError('model.losses is missing, expected at least one loss to train with.')
        padded = self._padded(self.training_pairs(inputs), widths)
        return self.objective(self.fields(padded), padded)

    def _predict(
        self, inputs: Mapping[str, Any], data_samples: list[RegSample] | None, widths: Sequence[tuple[int, int]]
    ) -> list[RegSample]:
        fields = self._cropped(inputs, widths)
        displacement = fields.displacement.float()
        warped = warp(inputs['moving'].float(), displacement)
        labels = inputs.get('moving_labels')
        warped_labels = None if labels is None else warp_labels(labels, displacement, mode=self.label_warp)
        samples = data_samples or [RegSample() for _ in range(len(displacement))]
        oracle = self.flow_head.is_oracle(inputs)
        for n, one in enumerate(samples):
            result = BaseDataElement(displacement=displacement[n], warped=warped[n])
            if warped_labels is not None:
                result.warped_labels = warped_labels[n]
                one.set_metainfo({'label_warp': self.label_warp})  # metrics say and check how labels were warped
            for name, values in fields.extras.get(MAPS, {}).items():
                setattr(result, name, values[n])
            if AFFINE in fields.extras:
                set_affine(result, fields.extras[AFFINE][n], one.get('affine'), [before for before, _ in widths])
            if fields.inverse_displacements:
                result.inverse_displacement = fields.inverse_displacements[0][n]
            if 'fixed_landmarks' in inputs:
                points = inputs['fixed_landmarks'][n]
                result.warped_landmarks = move_points(points, displacement[n])
            if oracle is not None:
                one.set_metainfo({'oracle_prompt': oracle})  # tables mark it
            one.pred = result
            for key in (*_CARRIED, *_LANDMARKS):
                if key in inputs:
                    setattr(one, key, inputs[key][n])
        return samples


def move_points(points: Tensor, displacement: Tensor) -> Tensor:
    """Where points ``(P, ndim)`` of the fixed image lie in the moving image, voxels: ``p + u(p)``, u linear."""
    where = points[None].to(displacement)
    return (where + sample(displacement[None], where).transpose(1, 2))[0]


def set_affine(
    result: BaseDataElement, matrix: Tensor, grid: Sequence[Sequence[float]] | None, before: list[int]
) -> None:
    """Add ``affine_voxel``, a map between the unpadded voxels of both images, and ``affine``, the same in world mm.

    Args:
        result: A prediction.
        matrix: ``(ndim+1, ndim+1)``, fixed -> moving voxels of grids with ``before`` voxels in front of every axis.
        grid: Voxel -> world mm of the fixed grid, on which the moving image lies as well; without it no ``affine``.
        before: Padding in front of every axis.
    """
    there, back = (torch.eye(len(matrix), dtype=torch.float64, device=matrix.device) for _ in range(2))
    for axis, width in enumerate(before):  # number by number: a tensor of them would be a copy from the host
        there[axis, -1], back[axis, -1] = width, -width
    result.affine_voxel = back @ matrix.double() @ there
    if grid is not None:
        to_world = torch.tensor(grid, dtype=torch.float64, device=matrix.device)
        result.affine = world_matrix(result.affine_voxel, to_world, to_world)
