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


def not_here(published: Mapping[str, Any]) -> str | None:
    """Whether it is the network of knees of ICON, the predecessor."""
    if any('.middle_dense.' in f'.{key}' for key in published):
        return (
            'these are weights of ICON for knees, whose first U-Net has dense layers in its middle, for images of one '
            'size: it is not here, expected those of GradICON or uniGradICON.'
        )
    return None


FAMILY = Family(
    name='gradicon',
    rules=rules(_NETWORKS),
    ignore=(r'(.*\.)?identity_map', r'(.*\.)?spacing'),
    describe=describe,
    not_here=not_here,
    note='GradICON, and the first stage of uniGradICON: the network of three steps',
)
