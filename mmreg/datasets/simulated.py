"""Data sets without data: simulated subjects, made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mmreg.registry import DATASETS

from .base import Index, PairDataset
from .synthesis import Subject, Variation, simulate_subject, true_displacement
from .templates import Template, brain_template, shapes_template
from .transforms.roles import DISPLACEMENT, DISPLACEMENT_VALID

_FIELDS = ('forward', 'inverse')


class SimulatedDataset(PairDataset):
    """Base of the simulated data sets: subjects ``first`` to ``first + count - 1`` of an endless family.

    A subject is a pure function of (``subject_seed``, its number); disjoint ranges make disjoint training and test
    sets. Samples may carry ``true_displacement`` (voxels, fixed grid) and ``true_displacement_valid``.

    Args:
        first: Number of the first subject.
        count: How many subjects.
        subject_seed: Another family for another seed; independent of the run's seed.
        variation: How much subjects differ, arguments of :class:`mmreg.datasets.synthesis.Variation`.
        true_fields: Whether samples carry the true displacement.
        pairing: 'random' for training; 'ordered' or 'next' for evaluation.
        cache: As for :class:`PairDataset`; subjects are kept in memory unless told otherwise.
        preprocess: Transforms of a subject after its simulation, none by default.
        kwargs: See :class:`PairDataset`.
    """

    PAIRING = 'random'
    PREPROCESS: Sequence[dict[str, Any]] = ()

    def __init__(
        self,
        first: int = 0,
        count: int = 8,
        subject_seed: int = 0,
        variation: dict[str, Any] | None = None,
        true_fields: bool = False,
        cache: str | dict[str, Any] | None = 'memory',
        preprocess: Sequence[dict[str, Any] | Callable[..., Any]] | None = None,
        **kwargs: Any,
    ):
        self.first, self.count = first, count
        self.subject_seed = subject_seed
        self.variation = Variation(**{k: _hashable(v) for k, v in (variation or {}).items()})
        self.true_fields = true_fields
        super().__init__(cache=cache, preprocess=preprocess, checks=None, **kwargs)

    def template(self) -> Template:
        """What the subjects are made from."""
        raise NotImplementedError

    def index(self) -> Index:
        """One simulated subject per number of the range."""
        names = self.template().names  # made here, before loader processes start, so that they share it
        self._metainfo.setdefault('label_names', names)
        numbers = range(self.first, self.first + self.count)
        return Index([{'id': f'sim{number:04d}', 'number': number} for number in numbers])

    def load_source(self, source: dict[str, Any]) -> dict[str, Any]:
        """One subject: the template moved by its own random diffeomorphism."""
        template = self.template()
        made = simulate_subject(template, self.subject_seed, source['number'], self.variation)
        subject: dict[str, Any] = {
            'path': '',
            'image': made.image.numpy(),
            'labels': made.labels.numpy(),
            'label_values': made.labels.unique().numpy(),
            'affine': template.affine,
        }
        if self.true_fields:
            subject |= {name: getattr(made, name).numpy() for name in _FIELDS}
        for transform in self.preprocess:
            subject = transform(subject)
        return subject

    def make_pair(self, fixed: dict[str, Any], moving: dict[str, Any]) -> dict[str, Any]:
        """The pair, with the true displacement between both subjects where it is asked for."""
        pair = super().make_pair(_without_fields(fixed), _without_fields(moving))
        if self.true_fields:
            displacement, valid = true_displacement(_as_subject(fixed), _as_subject(moving))
            pair[DISPLACEMENT] = displacement.numpy()
            pair[DISPLACEMENT_VALID] = valid.numpy()
        return pair


@DATASETS.register_module()
class SimulatedBrainDataset(SimulatedDataset):
    """Simulated brains: nilearn's packaged MNI152 T1 template, bent and re-lit at random. Not real subjects.

    Labels 1 to 4: inner fluid, outer grey matter, white matter, inner grey matter (``TISSUES`` of the templates).

    Args:
        resolution: Voxel size in whole mm; the grid is 80x96x80 at 2 mm.
        multiple: Each axis of the grid is a multiple of this.
        kwargs: See :class:`SimulatedDataset`.
    """

    def __init__(self, resolution: int = 2, multiple: int = 16, **kwargs: Any):
        self.resolution, self.multiple = resolution, multiple
        super().__init__(**kwargs)

    def template(self) -> Template:
        """The packaged brain at the chosen resolution."""
        return brain_template(self.resolution, self.multiple)


@DATASETS.register_module()
class SyntheticShapes(SimulatedDataset):
    """Simulated bodies of smooth random regions, any size, 2-D or 3-D; needs nothing installed. For tests.

    Args:
        size: Spatial size.
        labels: Number of regions.
        template_seed: Another body for another seed.
        kwargs: See :class:`SimulatedDataset`. Millimetres of ``variation`` are voxels here.
    """

    def __init__(self, size: Sequence[int] = (32, 32, 32), labels: int = 4, template_seed: int = 0, **kwargs: Any):
        self.size = tuple(int(n) for n in size)
        self.labels, self.template_seed = labels, template_seed
        if kwargs.get('variation') is None:
            step = min(self.size)
            kwargs['variation'] = dict(knots_mm=(step / 2, step / 4), amplitude_mm=(step / 20, step / 40))
        super().__init__(**kwargs)

    def template(self) -> Template:
        """Ellipsoids of the chosen size, as many as there are labels."""
        return shapes_template(self.size, self.labels, self.template_seed)


def _without_fields(subject: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in subject.items() if key not in _FIELDS}


def _as_subject(subject: dict[str, Any]) -> Subject:
    return Subject(*(torch.from_numpy(subject[key]) for key in ('image', 'labels', *_FIELDS)))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value
