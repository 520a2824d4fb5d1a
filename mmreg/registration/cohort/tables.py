"""The tables of a cohort: ``results.csv`` and ``failures.csv``, one of each per process until they are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmreg.io.tables import write_table

from .outcome import COLUMNS, Outcome, names_of
from .shards import Shard

RESULTS, FAILURES = 'results.csv', 'failures.csv'
FAILURE_COLUMNS = ('case_id', 'fixed', 'moving', 'reason')


@dataclass(frozen=True)
class CohortTables:
    """Both tables of a folder.

    Attributes:
        out_dir: The folder.
        with_results: Whether there is a table of results; failures are always told.
    """

    out_dir: Path
    with_results: bool = True

    def write(self, outcomes: Sequence[Outcome], shard: Shard) -> None:
        """Replace the tables of a process, atomically; there is no table of failures where nothing failed."""
        if self.with_results:
            lines = [o.line for o in outcomes if o.status != 'failed']
            write_table(self.path(RESULTS, shard), COLUMNS, lines, digits=6, nan='')
        failures = [{**names_of(o.case), 'reason': o.reason} for o in outcomes if o.status == 'failed']
        if failures:
            write_table(self.path(FAILURES, shard), FAILURE_COLUMNS, failures)
        else:
            self.path(FAILURES, shard).unlink(missing_ok=True)

    def merge(self, outcomes: Sequence[Outcome], world: int) -> None:
        """Write the tables of all processes, and remove those of each."""
        self.write(outcomes, Shard())
        for rank in range(world):
            for name in (RESULTS, FAILURES):
                self.path(name, Shard(rank, world)).unlink(missing_ok=True)

    def path(self, name: str, shard: Shard) -> Path:
        """File of a table of a process."""
        path = self.out_dir / name
        return path.with_name(f'{path.stem}{shard.suffix}{path.suffix}')
