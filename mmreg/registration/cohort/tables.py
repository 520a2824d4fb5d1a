"""The tables of a cohort and its page, one of each per process until they are merged.

``results.csv`` has a line per case, ``summary.csv`` one per number over all cases, ``failures.csv`` one per failure;
``index.html`` shows them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmreg.io.tables import write_table

from . import summary
from .outcome import COLUMNS, Outcome, names_of
from .page import write_page
from .shards import Shard

RESULTS, FAILURES, SUMMARY, PAGE = 'results.csv', 'failures.csv', 'summary.csv', 'index.html'
FAILURE_COLUMNS = ('case_id', 'fixed', 'moving', 'reason')


@dataclass(frozen=True)
class CohortTables:
    """All tables of a folder, and the page.

    Attributes:
        out_dir: The folder.
        with_results: Whether there is a table of results; failures are always told.
    """

    out_dir: Path
    with_results: bool = True

    def write(self, outcomes: Sequence[Outcome], shard: Shard) -> None:
        """Replace those of a process, atomically; there is no table of failures where nothing failed."""
        if self.with_results:
            lines = [o.line for o in outcomes if o.status != 'failed']
            write_table(self.path(RESULTS, shard), COLUMNS, lines, digits=6, nan='')
            over_all = summary.summary_lines(lines)
            write_table(self.path(SUMMARY, shard), summary.COLUMNS, over_all, digits=6, nan='')
        failures = [{**names_of(o.case), 'reason': o.reason} for o in outcomes if o.status == 'failed']
        if failures:
            write_table(self.path(FAILURES, shard), FAILURE_COLUMNS, failures)
        else:
            self.path(FAILURES, shard).unlink(missing_ok=True)
        if self.with_results:
            names = [RESULTS, SUMMARY, *([FAILURES] if failures else [])]
            write_page(self.path(PAGE, shard), outcomes, [self.path(name, shard).name for name in names])

    def merge(self, outcomes: Sequence[Outcome], world: int) -> None:
        """Write the tables of all processes, and remove those of each."""
        self.write(outcomes, Shard())
        for rank in range(world):
            for name in (RESULTS, FAILURES, SUMMARY, PAGE):
                self.path(name, Shard(rank, world)).unlink(missing_ok=True)

    def path(self, name: str, shard: Shard) -> Path:
        """File of a table of a process."""
        path = self.out_dir / name
        return path.with_name(f'{path.stem}{shard.suffix}{path.suffix}')
