"""Label values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.registry import TRANSFORMS

from .loading import label_values
from .roles import groups, name_of


@TRANSFORMS.register_module()
class RemapLabels:
    """Gives labels new numbers, for instance 0..n-1 from the values of an atlas.

    Args:
        mapping: Old value -> new value. A list of values ``[a, b, c]`` stands for ``{a: 1, b: 2, c: 3}``.
        others: New value of everything not in ``mapping`` (0 stays 0): 0 drops it, None refuses it.

    Raises:
        DataError: a value that is not in ``mapping``, with ``others=None``.
    """

    def __init__(self, mapping: Mapping[int, int] | Sequence[int], others: int | None = 0):
        if not isinstance(mapping, Mapping):
            mapping = {value: position for position, value in enumerate(mapping, start=1)}
        self.mapping = {int(old): int(new) for old, new in mapping.items()}
        self.others = others
        if not self.mapping or min(self.mapping) < 0 or min(self.mapping.values()) < 0:
            raise ConfigError(f'RemapLabels got mapping={mapping}, expected non-negative labels.')

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        for group in groups(sample):
            if sample.get(group.labels) is not None:
                labels = self._remap(np.asarray(sample[group.labels]), name_of(sample, group))
                sample[group.labels] = labels
                sample[f'{group.prefix}label_values'] = label_values(labels)
        return sample

    def _remap(self, labels: np.ndarray, name: str) -> np.ndarray:
        values = label_values(labels)
        unknown = [int(v) for v in values if v and int(v) not in self.mapping]
        if unknown and self.others is None:
            raise DataError(f'{name}: labels {unknown[:12]}, expected only {sorted(self.mapping)[:40]}')
        new = np.array([self.mapping.get(int(v), 0 if v == 0 else (self.others or 0)) for v in values])
        dtype = labels.dtype if new.max(initial=0) <= np.iinfo(labels.dtype).max else np.int32
        return new.astype(dtype)[np.searchsorted(values, labels)]
