"""Known misalignments of real images, and what a model makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmreg.errors import ConfigError, DataError
from mmreg.evaluation.functional import digital, field_error, jacobian, overlap
from mmreg.evaluation.functional.aggregate import nan_mean
from mmreg.spatial import warp, warp_labels
from mmreg.utils.choices import STRESS_KINDS as KINDS

from .deformations import VelocityRecipe, foreground_overlap, quantile, translation_vectors, velocity_fields

#: Percentiles of the end-point error that are reported.
PERCENTILES = (5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class StressCase:
    """An image to misalign: ``fixed`` ``(C, *S)``, ``spacing`` in mm, optional ``labels`` ``(1, *S)``."""

    case_id: str
    fixed: Tensor
    spacing: tuple[float, ...]
    labels: Tensor | None = None

    @property
    def foreground(self) -> Tensor:
        """``(*S)``: labelled voxels, else those brighter than the smallest value."""
        if self.labels is not None and bool((self.labels > 0).any()):
            return self.labels[0] > 0
        return (self.fixed > self.fixed.min()).any(0)


@dataclass(frozen=True)
class StressPlan:
    """Which misalignments: kind -> sizes in mm.

    Attributes:
        levels: Sizes per kind.
        recipe: Of the velocity fields.
        seed: Of all random numbers.
        weight_by_foreground: Velocity fields fade out outside the foreground and are measured inside it.
    """

    levels: Mapping[str, Sequence[float]] = field(
        default_factory=lambda: {'translation': (0, 5, 10, 15, 20, 30), 'svf': (0, 5, 10, 15)}
    )
    recipe: VelocityRecipe = VelocityRecipe()
    seed: int = 0
    weight_by_foreground: bool = True

    def __post_init__(self) -> None:
        if set(self.levels) - set(KINDS):
            raise ConfigError(f'stress kinds {sorted(self.levels)} are not all known, expected some of {KINDS}.')


@dataclass(frozen=True)
class StressedPair:
    """A case and a moving image made from it.

    ``true`` ``(ndim, *S)`` voxels: ``moving(x + true(x)) = fixed(x)``; ``case.labels`` moved along in ``labels``.
    """

    case: StressCase
    kind: str
    level: float
    moving: Tensor
    true: Tensor
    labels: Tensor | None


@dataclass(frozen=True)
class StressResult:
    """Numbers of one model on one stressed pair."""

    model: str
    kind: str
    level: float
    case_id: str
    values: dict[str, float]


#: Fixed and moving ``(C, *S)`` and the spacing -> displacement ``(ndim, *S)`` voxels.
Predictor = Callable[[Tensor, Tensor, tuple[float, ...]], Tensor]


def stressed_pairs(case: StressCase, number: int, directions: Tensor, plan: StressPlan) -> Iterator[StressedPair]:
    """All misalignments of one case.

    Args:
        case: The image.
        number: Running number of the case, part of the seed.
        directions: ``(ndim,)`` unit translation of the case in voxels per mm.
        plan: Which.
    """
    size = case.fixed.shape[1:]
    for level in plan.levels.get('translation', ()):
        true = (level * directions).view(-1, *(1,) * len(size)).expand(-1, *size).contiguous()
        yield _pair(case, 'translation', level, true, -true)
    for index, level in enumerate(plan.levels.get('svf', ())):
        generator = torch.Generator().manual_seed(plan.seed + 1009 * number + index)
        mask = case.foreground if plan.weight_by_foreground else None
        forward, inverse = velocity_fields(size, case.spacing, level, generator, plan.recipe, mask)
        yield _pair(case, 'svf', level, forward[0], inverse[0])


def measure(pair: StressedPair, displacement: Tensor) -> dict[str, float]:
    """End-point error of a displacement ``(ndim, *S)`` in mm (whole volume and foreground, with percentiles), Dice and
    regularity of a prediction.
    """
    if displacement.shape != pair.true.shape:
        raise DataError(
            f'case {pair.case.case_id}: the model returned a field of shape {tuple(displacement.shape)}, '
            f'expected {tuple(pair.true.shape)}.'
        )
    displacement = displacement.detach().float().cpu()
    errors = field_error.end_point_errors(displacement, pair.true, pair.case.spacing, batched=False)
    truth = field_error.lengths(pair.true, pair.case.spacing, batched=False)
    inside = pair.case.foreground
    values = {'epe': float(errors.mean()), 'initial_epe': float(truth.mean())}
    if bool(inside.any()):
        values |= {
            'epe_foreground': float(errors[inside].mean()),
            'initial_epe_foreground': float(truth[inside].mean()),
        }
        values |= {f'epe_foreground_p{p}': quantile(errors[inside], p / 100) for p in PERCENTILES}
    determinants = jacobian.determinant_map(displacement, crop=0)
    values |= {
        'sdlogj': jacobian.sd_log_jacobian(determinants),
        'folds_percent': jacobian.fold_percent(determinants),
        'ndv_percent': digital.digital_diffeomorphism(displacement).volume_percent,
    }
    if pair.labels is not None and pair.case.labels is not None:
        warped = warp_labels(pair.labels[None], displacement[None])[0]
        values['dice'] = nan_mean(overlap.dice(warped, pair.case.labels))
        values['initial_dice'] = nan_mean(overlap.dice(pair.labels, pair.case.labels))
        values['foreground_overlap'] = foreground_overlap(inside, pair.labels[0] > 0)
    return values


def run(
    cases: Iterable[StressCase], total: int, ndim: int, plan: StressPlan, models: Mapping[str, Predictor]
) -> Iterator[StressResult]:
    """Every model on every misalignment of every case; one result at a time, so that partial tables can be written.

    Args:
        cases: The images.
        total: Their number (translation directions are drawn for all at once).
        ndim: Spatial axes of the images.
        plan: Which misalignments.
        models: Name -> predictor.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    directions = translation_vectors((1.0,), total, (1.0,) * ndim, generator)[0]
    for number, case in enumerate(cases):
        per_mm = directions[number] / torch.tensor(case.spacing, dtype=torch.float32)
        for pair in stressed_pairs(case, number, per_mm, plan):
            for name, predict in models.items():
                start = time.perf_counter()
                displacement = predict(case.fixed, pair.moving, case.spacing)
                seconds = time.perf_counter() - start
                values = {**measure(pair, displacement), 'seconds': seconds}
                yield StressResult(name, pair.kind, float(pair.level), case.case_id, values)


def _pair(case: StressCase, kind: str, level: float, true: Tensor, inverse: Tensor) -> StressedPair:
    moving = warp(case.fixed[None].float(), inverse[None])[0]
    labels = None if case.labels is None else warp_labels(case.labels[None], inverse[None])[0]
    return StressedPair(case, kind, float(level), moving, true, labels)
