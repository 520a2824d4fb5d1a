"""GradICON checkpoints, and uniGradICON's first stage: three networks, at a quarter, half and full resolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family
from .unigradicon import describe_chain, rules

_NETWORKS = (r'netPhi\.net\.netPhi\.net\.net', r'netPhi\.net\.netPsi\.net', r'netPsi\.net')


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Model of the shapes in a converted state dict of the three networks."""
    return describe_chain(state, (2, 1, 0))


FAMILY = Family(
    name='gradicon',
    rules=rules(_NETWORKS),
    ignore=(r'(.*\.)?identity_map', r'(.*\.)?spacing'),
    describe=describe,
    note='GradICON, and the first stage of uniGradICON: the network of three steps',
)
