"""How two files of any size, spacing and orientation become what the network was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from mmreg.datasets.transforms import ImageTransform
from mmreg.engine.plan import pair_transforms_of, preprocess_of
from mmreg.errors import ConfigError
from mmreg.io import Geometry, Volume, affine_transform, resample_to

from .intensities import intensity_steps, normalise, normalise_slices, transform_class
from .told_plan import admitted_plan

#: What is done to intensities when neither the config nor the checkpoint says anything.
DEFAULT_INTENSITY: tuple[dict[str, Any], ...] = ({'type': 'PercentileWindow', 'low': 0.1, 'high': 99.9},)
KEYS = ('spacing', 'orientation', 'size', 'intensity', 'rigidity')
#: Spacings of a working grid, mm.
SMALLEST, LARGEST = 1e-3, 1e3
#: Voxels along an axis of a working grid.
MOST = 4096


@dataclass(frozen=True)
class Preparation:
    """What is done to both images before the network sees them.

    Attributes:
        spacing: Voxel size of the working grid in mm, one number or one per axis; None keeps the fixed image's.
        orientation: Order and direction of the working grid's axes, such as 'RAS'; None keeps the fixed image's.
        size: Voxels per axis of the working grid. With a spacing, it is cropped or padded to them around what the fixed
            image shows; without, the whole field of view is divided into so many. None: what the field of view has.
        intensity: Configs of intensity transforms, applied to each whole image on its own grid; crops between them
            say which part of it their numbers are taken from.
        pair: The same, applied to both images of a pair on the working grid; to each slice where a 2-D model is run
            on a stack.
        rigidity: Whether the rigidity of labelled bodies is reported.
        source: Where this was found, for the plan.
        stated: Whether ``intensity`` was asked for as it is; else images that training's scaling leaves far from [0, 1]
            are scaled by their minimum and maximum.
    """

    spacing: float | tuple[float, ...] | None = None
    orientation: str | None = None
    size: tuple[int, ...] | None = None
    intensity: tuple[dict[str, Any], ...] = DEFAULT_INTENSITY
    rigidity: bool = False
    source: str = 'default'
    pair: tuple[dict[str, Any], ...] = ()
    stated: bool = field(default=True, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a plan keeps them."""
        return asdict(self)


def find_preparation(
    cfg: Mapping[str, Any], meta: Mapping[str, Any] | None = None, source: str = 'the checkpoint'
) -> Preparation:
    """The preparation that a model was trained with.

    Asked in this order: the config's ``inference=dict(spacing=, orientation=, size=, intensity=[...], rigidity=)``; the
    ``preprocess`` of its test, validation or training data set, and what happens there to pairs; the plan inside the
    checkpoint (the same there); the default.
    A key that ``inference`` leaves out is looked up further down.

    Args:
        cfg: Merged config.
        meta: ``meta`` of the checkpoint.
        source: Name of the checkpoint, for errors.

    Raises:
        ConfigError: ``inference`` has an unknown key or holds something else than expected.
        CheckpointError: the plan names something else than registered transforms.

    Example:
        >>> find_preparation({'inference': {'spacing': 2.0, 'orientation': 'RAS'}}).spacing
        2.0
    """
    plan = admitted_plan((meta or {}).get('plan') or {}, f'{source}: meta.plan')
    stated, where = _stated(cfg, plan)
    data, found_in = _from_data(cfg, plan)
    sources = [where] if stated else []
    if data and not {'intensity', 'orientation'} <= set(stated):
        sources.append(found_in)
    values = {**data, **stated}
    spacing = values.get('spacing', plan.get('spacing'))
    intensity = values.get('intensity')
    return Preparation(
        spacing=_checked_spacing(spacing),
        orientation=values.get('orientation'),
        size=_checked_size(values.get('size')),
        intensity=DEFAULT_INTENSITY if intensity is None else tuple(dict(t) for t in intensity),
        rigidity=bool(values.get('rigidity', False)),
        source=', '.join(sources) or 'default',
        pair=() if 'intensity' in stated else tuple(data.get('pair', ())),
        stated=stated.get('intensity') is not None,
    )


def _stated(cfg: Mapping[str, Any], plan: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    for stated, where in ((cfg.get('inference'), 'config: inference'), (plan.get('inference'), 'plan: inference')):
        if stated is None:
            continue
        unknown = set(stated) - set(KEYS) if isinstance(stated, Mapping) else {repr(stated)}
        if unknown:
            raise ConfigError(f'inference has {sorted(unknown)}, expected a dict with some of {", ".join(KEYS)}.')
        orientation, intensity = stated.get('orientation'), stated.get('intensity')
        if not isinstance(orientation, str | None):
            raise ConfigError(f"inference.orientation is {orientation!r}, expected letters such as 'RAS'.")
        listed = intensity is None or isinstance(intensity, list | tuple)
        if not listed or not all(isinstance(t, Mapping) and 'type' in t for t in intensity or ()):
            raise ConfigError(f'inference.intensity is {intensity!r:.80}, expected a list of transforms with a type.')
        return dict(stated), where
    return {}, ''


def _from_data(cfg: Mapping[str, Any], plan: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Intensity and orientation of the data set a config names, else of the one the plan describes."""
    found = preprocess_of(cfg)
    if found is not None:
        return _from_transforms(found, pair_transforms_of(cfg)), 'config: data set'
    transforms = plan.get('preprocess')
    return (_from_transforms(transforms, plan.get('pair') or ()), 'plan: preprocess') if transforms else ({}, '')


def _from_transforms(single: Sequence[Mapping[str, Any]], pair: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {'intensity': intensity_steps(single), 'pair': intensity_steps(pair)}
    for config in single:
        if not issubclass(transform_class(config), ImageTransform) and config.get('orientation'):
            values['orientation'] = config['orientation']
    return values


def _checked_spacing(spacing: Any) -> float | tuple[float, ...] | None:
    if spacing is None:
        return None
    values = list(spacing) if isinstance(spacing, Sequence) and not isinstance(spacing, str) else [spacing]
    if not values or not all(isinstance(s, int | float) and SMALLEST <= s <= LARGEST for s in values):
        raise ConfigError(
            f'inference.spacing is {spacing!r:.80}, expected mm: a number from {SMALLEST:g} to {LARGEST:g} or one per '
            'axis.'
        )
    return tuple(map(float, values)) if isinstance(spacing, Sequence) else float(spacing)


def _checked_size(size: Any) -> tuple[int, ...] | None:
    if size is None:
        return None
    values = list(size) if isinstance(size, Sequence) and not isinstance(size, str) else [size]
    if not values or not all(type(n) is int and 1 <= n <= MOST for n in values):
        raise ConfigError(f'inference.size is {size!r:.80}, expected voxels from 1 to {MOST}, a number per axis.')
    return tuple(values)


def working_grid(fixed: Geometry, preparation: Preparation, axis: int | None = None) -> Geometry:
    """The fixed image's field of view in the training orientation and spacing; its size follows, see
    :func:`~mmreg.registration.working.window.sized`.

    Args:
        fixed: Grid of the fixed image.
        preparation: What the network was trained with.
        axis: Where a 2-D model is run on a stack: the axis of the slices, which stay as they are.

    Raises:
        ConfigError: orientation, spacing or size are for another number of axes.
    """
    if axis is not None:
        return _stack_grid(fixed, preparation, axis)
    grid = fixed
    stated = (
        ('orientation', preparation.orientation),
        ('spacing', preparation.spacing),
        ('size', preparation.size),
    )
    for key, value in stated:
        if isinstance(value, str | tuple) and len(value) != fixed.ndim:
            raise ConfigError(f'inference.{key} is {value!r}, expected {fixed.ndim} entries for {fixed.ndim}-D images.')
    if preparation.orientation:
        grid = grid.reoriented(preparation.orientation)
    if preparation.spacing is not None:
        wanted = np.broadcast_to(preparation.spacing, (fixed.ndim,))
        if np.abs(wanted / np.asarray(grid.spacing) - 1).max() > 0.01:
            grid = grid.resampled(tuple(wanted.tolist()))
    return grid


def _stack_grid(fixed: Geometry, preparation: Preparation, axis: int) -> Geometry:
    if preparation.spacing is None:
        return fixed
    if isinstance(preparation.spacing, tuple) and len(preparation.spacing) != fixed.ndim - 1:
        raise ConfigError(
            f'inference.spacing is {preparation.spacing!r}, expected {fixed.ndim - 1} entries for slices in the plane.'
        )
    wanted = np.insert(np.broadcast_to(preparation.spacing, (fixed.ndim - 1,)), axis, fixed.spacing[axis])
    if np.abs(wanted / np.asarray(fixed.spacing) - 1).max() <= 0.01:
        return fixed
    return fixed.resampled(tuple(wanted.tolist()))


def on_grid(
    volume: Volume,
    grid: Geometry,
    preparation: Preparation,
    affine: np.ndarray | None = None,
    role: str = 'image',
    axis: int | None = None,
    extend: bool = False,
) -> np.ndarray:
    """The image as the network sees it: intensities normalised on its own grid, then sampled on the working grid.

    What training did to intensities of pairs follows there.

    Outside the image its smallest intensity goes on. Where the working grid is coarser the image is smoothed first
    (Gaussian, sigma ``(ratio - 1) / 2`` voxels), so that nothing aliases.

    Args:
        volume: float32 intensities.
        grid: Working grid.
        preparation: Intensity transforms.
        affine: fixed world -> moving world in RAS mm, for the moving image.
        role: ``'fixed'`` or ``'moving'``, for transforms that are meant for one of them.
        axis: Axis of the slices where a 2-D model is run on a stack.
        extend: Outside the image the intensity of its nearest voxel goes on, for losses that look inside only.

    Returns:
        ``(C, *grid.shape)`` float32.
    """
    return normalise_slices(_sampled(volume, grid, preparation, affine, role, extend), preparation.pair, role, axis)


def _sampled(
    volume: Volume, grid: Geometry, preparation: Preparation, affine: np.ndarray | None, role: str, extend: bool
) -> np.ndarray:
    stored = volume.channel_first()
    normalised = normalise(stored, preparation.intensity, role)
    if not preparation.stated and unusual_range(stored, preparation) is not None:
        normalised = normalise(stored, ({'type': 'MinMax'},), role)
    array = normalised[0] if len(normalised) == 1 else np.moveaxis(normalised, 0, -1)
    prepared = Volume(np.ascontiguousarray(array), volume.geometry)
    if affine is None and volume.geometry.reoriented(grid.codes).same_grid(grid, tol=1e-3):
        return prepared.reoriented(grid.codes).channel_first()
    smooth = _antialias(prepared, grid, affine)
    transform = None if affine is None else affine_transform(affine)
    fill = None if extend else float(normalised.min())
    return resample_to(smooth, grid, transform=transform, fill=fill).channel_first()


def unusual_range(array: np.ndarray, preparation: Preparation) -> float | None:
    """What the highest intensity becomes, where training took intensities as stored, or divided, and it is not near 1.

    Transforms that look at the image itself (MinMax, PercentileWindow, ...) make such a check needless.
    """
    steps = (*preparation.intensity, *preparation.pair)
    if any(transform['type'] != 'DivideBy' for transform in steps):
        return None
    divisors = [float(transform.get('value', 255.0)) for transform in steps]
    highest = float(np.abs(array).max()) / math.prod(divisors)
    return None if 0.1 <= highest <= 2 else highest


def range_warning(array: np.ndarray, name: str, preparation: Preparation) -> str | None:
    """A sentence where :func:`unusual_range` finds something, with what was done about it."""
    highest = unusual_range(array, preparation)
    if highest is None:
        return None
    done = (
        "scale the image, or set intensity=[dict(type='MinMax')] in the config's inference."
        if preparation.stated
        else 'it was scaled by its minimum and maximum instead; inference.intensity of the config says otherwise.'
    )
    return (
        f'{name}: intensities up to {float(array.max()):.4g} become {highest:.3g} by the scaling of the training data, '
        f'where 1 is usual; {done}'
    )


def _antialias(volume: Volume, grid: Geometry, affine: np.ndarray | None) -> Volume:
    """Smooth along the axes of ``volume`` in whose direction a step of ``grid`` is longer than one voxel."""
    linear = np.eye(grid.ndim) if affine is None else np.asarray(affine)[: grid.ndim, : grid.ndim]
    steps = np.linalg.inv(volume.geometry.matrix) @ linear @ grid.matrix
    sigma = np.maximum(0.0, (np.linalg.norm(steps, axis=1) - 1) / 2)
    if sigma.max() < 0.1:
        return volume
    channels = volume.array.ndim - grid.ndim
    return Volume(ndimage.gaussian_filter(volume.array, (*sigma, *(0,) * channels), mode='nearest'), volume.geometry)
