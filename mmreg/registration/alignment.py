"""Initialisation by an affine: none, a given one, the centres put together, or a search; and how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, affine_transform, read_transform, resample_to
from mmreg.io.foreign import FORMATS, Spaces
from mmreg.io.plain import plain

from .inputs import Image, Pair
from .inputs.views import View, shown_voxels, view_of
from .less_alike import less_alike
from .options import AFFINE_WORDS, SEARCHED
from .planes import SlicePlanes, are_slices
from .progress import ProgressCallback, tell
from .types import AffineLike

if TYPE_CHECKING:
    from .affine import AffineResult

#: Settings of the search where no config says otherwise: right for images of any contrast.
DEFAULT = {'transform': 'affine', 'similarity': 'mi'}

#: Masks are grown by this much before they steer the affine, mm, and do so only where they leave this share of what
#: the image shows.
MARGIN, ENOUGH = 20.0, 0.3


@dataclass(frozen=True)
class Alignment:
    """An affine and how it came about.

    Attributes:
        matrix: ``(ndim+1, ndim+1)`` fixed world -> moving world in RAS mm; None: the headers alone.
        record: The same in plain values, for the plan: what was asked for, settings, stages, seconds.
        search: What the search found and how; None without one.
    """

    matrix: np.ndarray | None = None
    record: dict[str, Any] = field(default_factory=lambda: {'asked': 'none'})
    search: AffineResult | None = None

    @property
    def warnings(self) -> list[str]:
        """Of the search, in words."""
        return [] if self.search is None else list(self.search.warnings)


def read_affine(source: AffineLike, spaces: Spaces | None = None) -> np.ndarray | str | None:
    """What a user gave as an affine: a word or a matrix as it is, a file as its matrix.

    Words are :data:`~mmreg.registration.options.AFFINE_WORDS`; a file may be another program's (``'fsl:FILE'``).

    Args:
        source: What was given.
        spaces: Grids of the two images; a file of FSL is left as it is without them.

    Raises:
        DataError: the file cannot be read, or holds a transform that is not linear.
    """
    if source is None or isinstance(source, np.ndarray) or (isinstance(source, str) and source in AFFINE_WORDS):
        return source
    path = Path(source)
    form, colon, rest = str(source).partition(':')
    named = bool(colon and rest and form in FORMATS)  # 'fsl:FILE'
    if not path.exists() and not (named and Path(rest).exists()):
        raise DataError(f'affine: found no file {source}, expected one or {", ".join(AFFINE_WORDS)}')
    if form == 'fsl' and named and spaces is None:
        return str(source)  # counts in voxels of both images, which are read later
    matrix = read_transform(str(source) if named else path, spaces=spaces).affine
    if matrix is None:
        raise DataError(f'{path}: found a transform that is not linear, expected an affine')
    return matrix


def align(
    pair: Pair,
    wanted: AffineLike,
    settings: Mapping[str, Any] | None,
    first: AffineLike = None,
    *,
    device: Any = 'cpu',
    seed: int = 0,
    watch: ProgressCallback = None,
) -> Alignment:
    """Bring the two images of a pair roughly together.

    Args:
        pair: The images; large masks, grown by :data:`MARGIN`, refine what the whole images say.
        wanted: One of :data:`~mmreg.registration.options.AFFINE_WORDS`, a matrix, a file, or None for the headers
            alone. ``'auto'`` follows ``settings``.
        settings: Keyword arguments of :func:`mmreg.registration.affine.register_affine`; None: a preset that trusts
            headers.
            ``trust_headers=R`` keeps the headers where an ``'auto'`` search moves the image by less than R mm.
        first: A matrix or a file from which a search sets out, in place of trying starts; words count as none.
        device: Where the search runs.
        seed: Of the search.
        watch: Called while the search runs.

    Raises:
        DataError: the matrix cannot be used.
    """
    wanted = read_affine(wanted, Spaces(pair.fixed.geometry, pair.moving.geometry))
    headers = SlicePlanes.of(pair).by_headers() if are_slices(pair) else None
    if wanted is None or (isinstance(wanted, str) and wanted == 'none'):
        return Alignment(headers)
    if isinstance(wanted, str) and wanted in SEARCHED:
        if wanted == 'auto' and settings is None:
            return Alignment(headers, {'asked': 'auto', 'settings': None})
        first = read_affine(first, Spaces(pair.fixed.geometry, pair.moving.geometry))
        start = None if first is None or isinstance(first, str) else checked_affine(first, pair.images)
        return _searched(pair, wanted, dict(DEFAULT if settings is None else settings), start, device, seed, watch)
    matrix = checked_affine(wanted, pair.images)
    if are_slices(pair) and not isinstance(wanted, str):
        SlicePlanes.of(pair).check(matrix)
    return Alignment(matrix, {'asked': wanted if isinstance(wanted, str) else 'given', 'matrix': plain(matrix)})


def _searched(
    pair: Pair,
    wanted: str,
    settings: dict[str, Any],
    first: np.ndarray | None,
    device: Any,
    seed: int,
    watch: ProgressCallback,
) -> Alignment:
    from .affine import register_affine

    trusted = settings.pop('trust_headers', None)
    if wanted != 'auto':
        settings['transform'], trusted = wanted, None
        settings.pop('margin', None)  # asked for by name
    views = {
        role: view_of(image.volume, image.unknown) for role, image in (('fixed', pair.fixed), ('moving', pair.moving))
    }
    planes = SlicePlanes.of(pair) if are_slices(pair) else None
    images = [_flat(planes, role, views[role].volume) for role in ('fixed', 'moving')]
    masks: dict[str, Any] = {
        f'{role}_mask': _flat(planes, role, _as_volume(view.mask, view.volume)) for role, view in views.items()
    }

    steered = {key: _flat(planes, key.split('_')[0], mask) for key, mask in _steering(pair, views).items()}

    def told(what: str, done: float, begun: float = 0.0, share: float = 0.7 if steered else 1.0) -> None:
        tell(watch, 'affine', what, begun + share * done)

    run = partial(register_affine, *images, device=str(device), seed=seed)
    if planes is not None:
        first = None  # it is of the volumes that the slices lie in
    found = run(**masks, initial=first, **settings, watch=told)
    if steered:
        again = partial(told, begun=0.7, share=0.3)
        found = run(**{**masks, **steered}, initial=found.matrix, **{**settings, 'search': 'none'}, watch=again)
    if planes is not None:
        found = replace(found, matrix=planes.lifted(found.matrix))
    record = {
        'asked': wanted,
        'settings': plain(settings),
        **plain({key: value for key, value in asdict(found).items() if key not in ('curves', 'warnings')}),
    }
    motion = mean_motion(found.matrix, pair.fixed.geometry)
    record['mean_motion_mm'] = motion
    if trusted is not None and motion < float(trusted):
        used = f'the headers: the motion found is below {float(trusted):g} mm'
        return Alignment(None if planes is None else planes.by_headers(), {**record, 'used': used})
    free = wanted == 'auto' and first is None and planes is None and pair.fixed.volume.channels == 1
    if free and less_alike(pair.fixed.volume, pair.moving.volume, found.matrix):
        why = 'no affine was found that makes the images more alike: the headers are kept'
        return Alignment(None, {**record, 'used': f'the headers: {why}'}, replace(found, warnings=(f'{why}.',)))
    return Alignment(found.matrix, record, found)


def _flat(planes: SlicePlanes | None, role: str, volume: Volume | None) -> Any:
    """A volume for the search: that of a slice in its plane."""
    return volume if planes is None or volume is None else getattr(planes, role).flat(volume)


def _steering(pair: Pair, views: Mapping[str, View]) -> dict[str, Volume]:
    """Masks of the user, grown, where they leave enough to align by: they steer what was found without them.

    A region of interest says what matters, not where to look for the way in.
    """
    found: dict[str, Volume] = {}
    for role, image in pair.masks.items():
        volume, view = image.volume, views[role]
        margin = [max(1, round(MARGIN / step)) for step in volume.geometry.spacing]
        near = grown(volume.array.reshape(volume.geometry.shape) > 0, margin)
        bright = shown_voxels(getattr(pair, role).volume)
        if (near & bright).sum() < ENOUGH * bright.sum():
            return {}
        whole = Volume(near.astype(np.uint8), volume.geometry)
        own = (
            whole
            if view.volume.geometry.same_grid(volume.geometry)
            else resample_to(whole, view.volume.geometry, 'nearest')
        )
        found[f'{role}_mask'] = own if view.mask is None else Volume(own.array * view.mask, own.geometry)
    return found


def grown(mask: np.ndarray, margin: Sequence[int]) -> np.ndarray:
    """A mask with so many voxels around it along each axis (a box)."""
    return ndimage.maximum_filter(mask.astype(np.uint8), [2 * m + 1 for m in margin]) > 0


def _as_volume(mask: np.ndarray | None, of: Volume) -> Volume | None:
    return None if mask is None else Volume(mask.astype(np.uint8), of.geometry)


def checked_affine(affine: Any, images: Mapping[str, Image]) -> np.ndarray:
    """``(ndim+1, ndim+1)`` float64, fixed world -> moving world; ``'centres'`` brings the grids' centres together."""
    fixed, moving = images['fixed'].geometry, images['moving'].geometry
    ndim = fixed.ndim
    if isinstance(affine, str):
        if affine != 'centres':
            raise DataError(f"affine: found {affine!r}, expected a matrix or 'centres'")
        matrix = np.eye(ndim + 1)
        matrix[:ndim, ndim] = moving.centre - fixed.centre
        return matrix
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (ndim + 1, ndim + 1):
        raise DataError(f'affine: found a matrix of shape {matrix.shape}, expected {(ndim + 1, ndim + 1)}')
    affine_transform(matrix)  # refuses what cannot be inverted
    return matrix


def mean_motion(matrix: np.ndarray, geometry: Geometry) -> float:
    """How far an affine ``(ndim+1, ndim+1)``, world mm, moves the corners and the centre of a grid, mean in mm."""
    ends = [(0, n - 1) for n in geometry.shape]
    corners = np.stack(np.meshgrid(*ends, indexing='ij'), axis=-1).reshape(-1, geometry.ndim)
    points = geometry.voxel_to_world(np.vstack([corners, corners.mean(axis=0)]))
    moved = points @ matrix[:-1, :-1].T + matrix[:-1, -1]
    return float(np.linalg.norm(moved - points, axis=1).mean())
