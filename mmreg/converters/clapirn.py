"""Conditional LapIRN checkpoints, both channel layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmreg.errors import CheckpointError

from .base import Family
from .lapirn import configure, describe_displacement, rules


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The conditional network, from the shapes in its state dict.

    Raises:
        CheckpointError: nothing in it depends on a condition; its other keys are those of LapIRN.
    """
    model = describe_displacement(state)
    if not model['flow_head']['conditional']:
        raise CheckpointError(
            'no conditional layers (mapping, ai1, ai2) were found, expected those of conditional LapIRN; the file '
            'belongs to the family lapirn (diffeomorphic) or lapirn_disp.'
        )
    return model


FAMILY = Family(
    'clapirn',
    rules(conditional=True),
    describe=describe,
    configure=configure,
    note='conditional LapIRN, full and lite',
)
