"""How the results of a list are made and where they go; written here, once, for whoever registers the cases."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mmreg.registration.types import AffineLike, WantedInverse


@dataclass(frozen=True, eq=False)
class CohortSettings:
    """Plain values, which travel to other processes.

    Attributes:
        out_dir: Where the results go.
        layout: ``'files'``, ``'lumir'``, ``'learn2reg'`` or ``'oasis'``.
        overwrite: Register finished cases again. Otherwise a case counts as finished where its folder is complete and
            was made from the same files and settings; in a challenge layout, where that is so of its file.
        outputs: Which files per case, see :data:`~mmreg.registration.results.outputs.OUTPUTS`.
        affine: As in :class:`~mmreg.registration.pipeline.Pipeline`, for all cases that name none.
        landmark_frame: The same.
        batch_size: So many pairs with equal working grids are displaced together.
        inverse: Whether the inverse displacement is brought too, which the results of ``'files'`` hold; ``'own'``: only
            where a network has one itself.
    """

    out_dir: Path
    layout: str = 'files'
    overwrite: bool = False
    outputs: Collection[str] | None = None
    affine: AffineLike = None
    landmark_frame: str | None = None
    batch_size: int = 1
    inverse: WantedInverse = True
