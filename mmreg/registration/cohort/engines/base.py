"""The protocol of an engine, and this process as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.outcome import Outcome
from mmreg.registration.cohort.shards import Shard
from mmreg.registration.pipeline import Pipeline
from mmreg.registration.progress import ProgressCallback

#: Called after each case.
Report: TypeAlias = Callable[[Outcome], None]


def silent(outcome: Outcome) -> None:
    """A report that says nothing."""


class Engine:
    """Runs the cases of jobs; a context manager around all of them.

    Attributes:
        watch: Called with where the case in hand is, by engines whose cases are registered in this process.
    """

    watch: ProgressCallback = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        """Release what was opened."""

    @property
    def shard(self) -> Shard:
        """Which of several equal processes this is."""
        return Shard()

    def share(self, cases: Sequence[CohortCase]) -> list[CohortCase]:
        """The cases that this process reports."""
        return self.shard.share(cases)

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all, and does what follows the cases."""
        return True

    def run(self, job: CohortJob, cases: Sequence[CohortCase], report: Report = silent) -> list[Outcome]:
        """Register every case that is not finished, and write the tables.

        Returns:
            What became of each, in the order of the list, without voxels; a case that fails stops no other.
        """
        raise NotImplementedError

    def wait(self) -> None:
        """Wait until the first process has done what follows the cases; nothing where there is one process."""


@dataclass
class LocalEngine(Engine):
    """This process, one case after the other. A pipeline made for one job serves the next with equal options."""

    _made: tuple[object, Pipeline] | None = field(default=None, repr=False)

    def run(self, job: CohortJob, cases: Sequence[CohortCase], report: Report = silent) -> list[Outcome]:
        """All cases, one after the other."""
        cohort = job.cohort(cases, pipeline=self._pipeline(job))
        cohort.watch = self.watch
        return cohort.run(report)

    def _pipeline(self, job: CohortJob) -> Pipeline:
        if self._made is None or self._made[0] is not job.options:
            self._made = (job.options, job.pipeline())
        return self._made[1]
