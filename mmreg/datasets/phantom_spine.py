"""Articulated spine phantoms: CT and MR of the same vertebrae in two poses, with the true displacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmreg.registry import DATASETS

from .base import Index, PairDataset
from .pairing import IndexPair
from .spine_synthesis import SpineVariation, simulate_spine
from .transforms.roles import DISPLACEMENT, DISPLACEMENT_VALID


@DATASETS.register_module()
class ArticulatedSpinePhantom(PairDataset):
    """Pairs ``first`` to ``first + count - 1`` of an endless family; the fixed image is MR-like, the moving CT-like.

    Every vertebra follows its own rigid motion exactly, soft tissue lies smoothly between. A pair is a pure function of
    (``subject_seed``, its number); disjoint ranges make disjoint training and test sets. Samples carry
    ``true_displacement``, ``true_displacement_valid`` and the motions (``rotations``, ``translations``).

    Args:
        size: Three axes of at least 8 voxels; the spine runs along the last.
        bodies: Vertebrae per phantom, 0 allowed; one per 16 voxels when None.
        first_label: Label of the first one (20 is L1 in VerSe's numbering).
        first: Number of the first pair.
        count: How many pairs.
        subject_seed: Another family for another seed; independent of the run's seed.
        variation: Arguments of :class:`~mmreg.datasets.spine_synthesis.SpineVariation`.
        spacing: Voxel size in mm that the affine states.
        cache: As for :class:`PairDataset`; pairs are kept in memory unless told otherwise.
        preprocess: Transforms of a pair after its simulation, the published intensities by default.
        kwargs: See :class:`PairDataset`.
    """

    PREPROCESS = (
        dict(type='ClipWindow', low=-1000.0, high=2000.0, images=('moving',)),
        dict(type='MinMax', images=('fixed',)),
    )

    def __init__(
        self,
        size: Sequence[int] = (64, 64, 96),
        bodies: int | None = None,
        first_label: int = 20,
        first: int = 0,
        count: int = 8,
        subject_seed: int = 0,
        variation: dict[str, Any] | None = None,
        spacing: float = 1.0,
        cache: str | dict[str, Any] | None = 'memory',
        preprocess: Sequence[dict[str, Any] | Callable[..., Any]] | None = None,
        label_sets: str = 'any',
        **kwargs: Any,
    ):
        self.size, self.bodies, self.first_label = tuple(int(n) for n in size), bodies, first_label
        self.first, self.count, self.subject_seed = first, count, subject_seed
        self.variation = SpineVariation(**(variation or {}))
        self.spacing = float(spacing)
        super().__init__(cache=cache, preprocess=preprocess, checks=None, label_sets=label_sets, **kwargs)

    def index(self) -> Index:
        """One pair per number of the range."""
        numbers = range(self.first, self.first + self.count)
        pairs = [IndexPair(moving=k, fixed=k, case_id=f'spine{number:04d}') for k, number in enumerate(numbers)]
        return Index([{'id': pair.case_id, 'number': number} for pair, number in zip(pairs, numbers)], pairs)

    def load_source(self, source: dict[str, Any]) -> dict[str, Any]:
        """A whole pair: the two images of a phantom are made together."""
        made = simulate_spine(
            self.size, self.bodies, self.first_label, self.subject_seed, source['number'], self.variation
        )
        affine = np.diag([self.spacing] * 3 + [1.0])
        pair: dict[str, Any] = {DISPLACEMENT: made.displacement.numpy(), DISPLACEMENT_VALID: made.valid.numpy()}
        for role in ('fixed', 'moving'):
            labels = getattr(made, f'{role}_labels')
            pair |= {
                role: getattr(made, role).numpy(),
                f'{role}_labels': labels.numpy(),
                f'{role}_label_values': labels.unique().numpy(),
                f'{role}_affine': affine,
                f'{role}_path': '',
            }
        pair |= {'rotations': made.rotations.numpy(), 'translations': made.translations.numpy()}
        for transform in self.preprocess:
            pair = transform(pair)
        return pair

    def make_pair(self, fixed: dict[str, Any], moving: dict[str, Any]) -> dict[str, Any]:
        """The pair as it was simulated: both images came with one source."""
        return dict(fixed)
