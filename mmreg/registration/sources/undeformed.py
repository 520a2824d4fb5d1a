"""No deformation: registrations that end with the affine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mmreg.registration.progress import ProgressCallback
from mmreg.registration.working.pair import SourceResult, WorkingPair

from .base import Source


class Undeformed(Source):
    """A displacement of zero for every pair.

    Args:
        source: What the preset would have asked: lends its device and its preparation.
    """

    def __init__(self, source: Source):
        self.model = source.model
        self.preparation = source.preparation

    def __call__(self, pairs: Sequence[WorkingPair], watch: ProgressCallback = None) -> list[SourceResult]:
        """One :class:`SourceResult` of zeros per pair, on its working grid."""
        notes = {'batch': len(pairs), 'deformation': 'none'}
        return [SourceResult(torch.zeros(on.grid.ndim, *on.grid.shape), {}, {}, notes) for on in pairs]

    def settings(self) -> dict[str, Any]:
        """That nothing is deformed."""
        return {'deformation': 'none'}
