"""What an affine registration can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from mmreg.errors import ConfigError

TRANSFORMS = ('translation', 'rigid', 'similarity', 'affine')
SIMILARITIES = ('mi', 'nmi', 'ncc', 'lncc')
SEARCHES = ('auto', 'none', 'moments', 'coarse')


@dataclass(frozen=True)
class AffineSettings:
    """Settings of :func:`mmreg.registration.affine.register_affine`.

    Attributes:
        transform: ``'translation'``, ``'rigid'``, ``'similarity'`` (rigid and one scale) or ``'affine'``.
        similarity: ``'mi'``, ``'nmi'`` (between contrasts), ``'ncc'``, ``'lncc'`` (within one contrast).
        search: starts that are tried: ``'none'`` (the given one or the headers only), ``'moments'`` (headers, centres,
            centres of mass, principal axes), ``'coarse'`` (these and rotations all around), ``'auto'`` (rotations
            too, followed up only where they point away from what the other starts found).
        reflections: also search mirrored starts; otherwise the result never mirrors.
        levels: at most so many resolutions.
        finest: working spacing of the last level in mm; None: the coarser voxels of both, or 1/100 of the extent.
        samples: points of the fixed image at the last level; fewer at coarser ones.
        bins: of the joint histogram (mi, nmi).
        window: voxels per axis of a block (lncc).
        iterations: at most so many per level and stage.
        tolerance: a stage ends when points move less than this, in voxels of the level.
        minimum_overlap: a result with less of the fixed points inside the moving image is refused.
        margin: the headers (or the given matrix) are left only if points that were not optimised gain this share of
            their similarity.
        scale_limits: stretches outside are refused.
    """

    transform: str = 'affine'
    similarity: str = 'mi'
    search: str = 'auto'
    reflections: bool = False
    levels: int = 3
    finest: float | None = None
    samples: int = 40000
    bins: int = 32
    window: int = 5
    iterations: int = 60
    tolerance: float = 0.002
    minimum_overlap: float = 0.2
    margin: float = 0.0
    scale_limits: Sequence[float] = (0.5, 2.0)

    def __post_init__(self) -> None:
        for key, allowed in (('transform', TRANSFORMS), ('similarity', SIMILARITIES), ('search', SEARCHES)):
            if getattr(self, key) not in allowed:
                raise ConfigError(f'affine.{key} is {getattr(self, key)!r}, expected one of {", ".join(allowed)}.')
        for key, least in (('levels', 1), ('samples', 100), ('bins', 8), ('window', 3), ('iterations', 1)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f'affine.{key} is {value!r}, expected a whole number of at least {least}.')
        if self.finest is not None and not 0 < float(self.finest) < float('inf'):
            raise ConfigError(f'affine.finest is {self.finest!r}, expected mm, a positive number or None.')
        if not 0 <= self.minimum_overlap < 1:
            raise ConfigError(f'affine.minimum_overlap is {self.minimum_overlap!r}, expected a number in [0, 1).')
        if not 0 <= self.margin < 1:
            raise ConfigError(f'affine.margin is {self.margin!r}, expected a number in [0, 1).')
        limits = tuple(self.scale_limits)
        if len(limits) != 2 or not 0 < limits[0] < 1 < limits[1]:
            raise ConfigError(f'affine.scale_limits is {limits}, expected (low, high) with 0 < low < 1 < high.')


def make_settings(settings: dict[str, Any]) -> AffineSettings:
    """Settings from keyword arguments.

    Raises:
        ConfigError: an unknown key or a value that cannot work.
    """
    known = [field.name for field in fields(AffineSettings)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ConfigError(f'affine has the keys {unknown}, expected some of {", ".join(known)}.')
    return AffineSettings(**settings)
