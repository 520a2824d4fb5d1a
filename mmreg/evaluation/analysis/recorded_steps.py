"""What every step of an unrolled optimisation does to pairs of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import DATASETS


@dataclass(frozen=True, eq=False)
class RecordedCase:
    """One pair with its steps.

    Attributes:
        case_id: Name of the pair.
        steps: As the flow head records them.
        fixed: ``(C, *S)``.
        moving: ``(C, *S)``.
        labels: ``fixed_labels`` and ``moving_labels`` ``(1, *S)``; None where the data set has none.
    """

    case_id: str
    steps: list[Any]
    fixed: Tensor
    moving: Tensor
    labels: dict[str, Tensor | None]


def recorded_steps(registrar: Any, dataset: Mapping[str, Any], count: int) -> Iterator[RecordedCase]:
    """Register the first pairs of a data set, recording every step.

    Args:
        registrar: In evaluation mode, with a flow head that records (``record``).
        dataset: Its config.
        count: How many pairs.

    Raises:
        ConfigError: the flow head records nothing.
    """
    if not hasattr(registrar.flow_head, 'record'):
        raise ConfigError(f'the model has the flow head {type(registrar.flow_head).__name__}, expected GraDIRNHead.')
    registrar.flow_head.record = True
    pairs = DATASETS.build(dataset)
    for number in range(min(count, len(pairs))):
        item = pairs[number]
        found = item['inputs']
        batch = {key: value[None] for key, value in found.items() if isinstance(value, Tensor)}
        with torch.no_grad():
            steps = registrar(batch).extras['steps']
        labels = {key: found.get(key) for key in ('fixed_labels', 'moving_labels')}
        yield RecordedCase(item['data_samples'].case_id, steps, found['fixed'], found['moving'], labels)
