"""Pairs of images of any contrast, synthesised from label maps without end: nobody's scans are in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmreg.registry import DATASETS

from .anatomies import COVERINGS, LabelledAnatomy, random_brain, random_shapes
from .base import Index, PairDataset
from .image_synthesis import Appearance, Deformation, corresponding_points, paint, random_maps, read_labels
from .pairing import IndexPair


class SynthesisedPairs(PairDataset):
    """Base of the synthesised pairs: one anatomy, moved by two random maps, painted twice by chance.

    Pairs are made when they are asked for: draw ``k`` of pair ``i`` is a pure function of (seed, k, i), as with every
    data set here, so a training never sees one twice and resumes exactly. Samples carry labels and, with ``points``,
    corresponding landmarks.

    Args:
        size: Spatial size of the images.
        count: Pairs of an epoch.
        points: Landmarks of a pair, 0 for none.
        deformation: Arguments of :class:`mmreg.datasets.image_synthesis.Deformation`.
        appearance: Arguments of :class:`mmreg.datasets.image_synthesis.Appearance`.
        kwargs: See :class:`PairDataset`.
    """

    def __init__(
        self,
        size: Sequence[int],
        count: int = 100,
        points: int = 0,
        deformation: dict[str, Any] | None = None,
        appearance: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        self.size, self.count, self.points = tuple(int(n) for n in size), count, points
        self.deformation = Deformation(**{k: _plain(v) for k, v in (deformation or {}).items()})
        self.appearance = Appearance(**{k: _plain(v) for k, v in (appearance or {}).items()})
        super().__init__(checks=None, label_sets='any', preprocess=(), **kwargs)

    def anatomy(self, rng: np.random.Generator) -> LabelledAnatomy:
        """The label maps of a pair."""
        raise NotImplementedError

    def hidden(self, rng: np.random.Generator) -> tuple[Sequence[int], Sequence[int]]:
        """Regions that the fixed and the moving image do not show."""
        return (), ()

    def index(self) -> Index:
        """As many pairs as were asked for, all still to be made."""
        pairs = [IndexPair(moving=k, fixed=k, case_id=f'synthetic{k:04d}') for k in range(self.count)]
        return Index([{'id': pair.case_id} for pair in pairs], pairs)

    def make_pair(self, fixed: dict[str, Any], moving: dict[str, Any]) -> dict[str, Any]:
        """Nothing yet: :meth:`adapt_pair` has the random numbers."""
        return {}

    def adapt_pair(self, sample: dict[str, Any], info: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """The whole pair, made from ``rng``."""
        anatomy = self.anatomy(rng)
        forward, inverse, affines = random_maps(rng, self.size, anatomy.size, self.deformation)
        hidden = self.hidden(rng)
        for role, displacement, affine, unseen in zip(('fixed', 'moving'), forward, affines, hidden):
            parts, scored = read_labels((anatomy.parts, anatomy.scored), displacement, affine)
            sample[role] = paint(rng, parts, anatomy.region, self.appearance, unseen).numpy()
            sample |= {
                f'{role}_labels': scored[None].numpy(),
                f'{role}_affine': np.eye(len(self.size) + 1),
                f'{role}_path': '',
            }
        if self.points:
            places = corresponding_points(rng, anatomy.scored, inverse, affines, self.points)
            sample |= dict(zip(('fixed_landmarks', 'moving_landmarks'), places))
        return sample


@DATASETS.register_module()
class AnyBrains(SynthesisedPairs):
    """Brains of any contrast, with or without skull, from the MNI152 tissue maps that nilearn packages.

    Args:
        size: Spatial size of the images; voxels are those of ``resolution``, enlarged by the deformation's ``zoom``.
        resolution: Voxel size of the label maps, whole mm.
        bare: How often neither image shows skull and scalp, and how often both do; otherwise one of them.
        parcels: Largest number of parcels; labels go up to ``3 * parcels + 1``.
        kwargs: See :class:`SynthesisedPairs`.
    """

    def __init__(
        self,
        size: Sequence[int] = (56, 72, 56),
        resolution: int = 2,
        bare: tuple[float, float] = (0.55, 0.3),
        parcels: int = 14,
        **kwargs: Any,
    ):
        self.resolution, self.bare, self.parcels = resolution, tuple(bare), parcels
        super().__init__(size=size, **kwargs)

    def anatomy(self, rng: np.random.Generator) -> LabelledAnatomy:
        """A random brain."""
        return random_brain(rng, self.resolution, self.parcels)

    def hidden(self, rng: np.random.Generator) -> tuple[Sequence[int], Sequence[int]]:
        """The coverings of none, one or both."""
        case = rng.random() - np.cumsum((0, *self.bare))
        if case[1] < 0:
            return COVERINGS, COVERINGS
        if case[2] < 0:
            return (), ()
        return (COVERINGS, ()) if rng.random() < 0.5 else ((), COVERINGS)


@DATASETS.register_module()
class AnyShapes(SynthesisedPairs):
    """Random shapes of any contrast, 2-D or 3-D: for networks that are to register whatever comes.

    Args:
        size: Spatial size of the images.
        regions: Largest number of regions, which is the largest label as well.
        kwargs: See :class:`SynthesisedPairs`.
    """

    def __init__(self, size: Sequence[int] = (56, 56, 56), regions: int = 24, **kwargs: Any):
        self.regions = regions
        super().__init__(size=size, **kwargs)

    def anatomy(self, rng: np.random.Generator) -> LabelledAnatomy:
        """Random regions on a grid that the images lie in."""
        return random_shapes(rng, [round(1.2 * n) for n in self.size], self.regions)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value
