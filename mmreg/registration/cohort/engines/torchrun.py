"""Processes that torchrun started: each takes its share of the cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.outcome import Outcome
from mmreg.registration.cohort.shards import Shard

from .base import Engine, Report, silent


class TorchrunEngine(Engine):
    """One of several equal processes; the first writes the common tables.

    Raises:
        ConfigError: what torchrun says in the environment does not fit.
    """

    def __init__(self) -> None:
        self._shard = Shard.from_environment()

    @property
    def shard(self) -> Shard:
        """As torchrun counts them."""
        return self._shard

    def __enter__(self) -> TorchrunEngine:
        self.shard.join()
        return self

    def __exit__(self, *error: object) -> None:
        """Part from the others."""
        self.shard.leave()

    @property
    def is_first(self) -> bool:
        """Whether this is process 0."""
        return self.shard.is_first

    def run(self, job: CohortJob, cases: Sequence[CohortCase], report: Report = silent) -> list[Outcome]:
        """This process's share; the outcomes are those of all processes."""
        device = self.shard.device(None if job.options.device is None else str(job.options.device))
        job = replace(job, options=replace(job.options, device=device))
        cohort = job.cohort(cases, self.shard)
        cohort.watch = self.watch
        return cohort.merge(cohort.run(report))

    def wait(self) -> None:
        """Meet the others."""
        self.shard.gather([None])
