"""What a process needs to know to register cases of a list: plain values that travel to other processes."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmreg.registration.options import RunOptions
from mmreg.registration.pipeline import Pipeline
from mmreg.registration.register import make_pipeline
from mmreg.registration.types import AffineLike, WantedInverse

from .cases import CohortCase
from .cohort import Cohort
from .shards import Shard


@dataclass(frozen=True, eq=False)
class CohortJob:
    """How the cases of one list are registered, and where the results go.

    A case registered through a job is a pure function of files: the same case gives the same folder, whichever process
    does it, and a folder appears whole or not at all.

    Attributes:
        options: How pairs are registered; a model is named by its config file.
        out_dir: Where the results go.
        layout: As in :class:`~mmreg.registration.cohort.cohort.Cohort`, like all that follow.
        overwrite: Register finished cases again.
        outputs: Which files per case.
        affine: For all cases that name none.
        landmark_frame: Frame of landmark tables.
        batch_size: So many pairs are displaced together.
        inverse: Whether the inverse displacement is brought too.
        plugins: Files that register parts; executed in every process.
        key: Tells jobs apart.
    """

    options: RunOptions
    out_dir: Path
    layout: str = 'files'
    overwrite: bool = False
    outputs: Collection[str] | None = None
    affine: AffineLike = None
    landmark_frame: str | None = None
    batch_size: int = 1
    inverse: WantedInverse = True
    plugins: tuple[str, ...] = ()
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def pipeline(self) -> Pipeline:
        """What registers the pairs, with the parts of the plugins."""
        if self.plugins:
            from mmreg.plugins import register_all_modules

            register_all_modules(list(self.plugins))
        return make_pipeline(self.options)

    def cohort(
        self, cases: Sequence[CohortCase], shard: Shard | None = None, pipeline: Pipeline | None = None
    ) -> Cohort:
        """The cases of this process; ``pipeline`` is one that was made before."""
        return Cohort(
            pipeline or self.pipeline(), cases, Path(self.out_dir), self.layout, self.overwrite, self.outputs,
            self.affine, self.landmark_frame, self.batch_size, shard or Shard(), self.inverse,
        )  # fmt: skip
