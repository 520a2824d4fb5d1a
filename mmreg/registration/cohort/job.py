"""What a process needs to know to register cases of a list: plain values that travel to other processes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from mmreg.registration.options import RunOptions
from mmreg.registration.pipeline import Pipeline
from mmreg.registration.register import make_pipeline

from .cases import CohortCase
from .cohort import Cohort
from .settings import CohortSettings
from .shards import Shard


@dataclass(frozen=True, eq=False)
class CohortJob:
    """How the cases of one list are registered, and where the results go.

    A case registered through a job is a pure function of files: the same case gives the same folder, whichever process
    does it, and a folder appears whole or not at all.

    Attributes:
        options: How pairs are registered; a model is named by its config file.
        how: Where the results go, and how they are made.
        plugins: Files that register parts; executed in every process.
        key: Tells jobs apart.
    """

    options: RunOptions
    how: CohortSettings
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
        return Cohort(pipeline or self.pipeline(), cases, self.how, shard or Shard())
