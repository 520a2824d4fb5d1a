"""What a run shows: one pair's steps; of many pairs a bar with rate and remaining time, a line each, a closing line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from mmreg.registration.cohort.outcome import Outcome, line_metrics
from mmreg.registration.cohort.shards import Shard
from mmreg.registration.progress import ProgressEvent
from mmreg.registration.results.headline import changes, headline
from mmreg.utils import console

from .rate import RateColumn


class PairProgress:
    """Context manager around the registration of one pair; :meth:`watch` is told where it is."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn('{task.description}'), BarColumn(), TextColumn('{task.fields[detail]}'),
            console=console.console(stderr=True), transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task('reading', total=None, detail='')

    def __enter__(self) -> PairProgress:
        if self._bar.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar.console.is_terminal:
            self._bar.stop()

    def watch(self, step: ProgressEvent) -> None:
        """Show where the registration is; why a preset was chosen stays on the screen."""
        if step.name == 'method':
            if step.detail:
                self._line(step.detail)
            return
        show(self._bar, self._task, step)

    def _line(self, text: str) -> None:
        """A line that stays: above the bar where there is one."""
        if self._bar.live.is_started:
            self._bar.console.print(console.printable(text), markup=False)
        else:
            console.say(text)

    def finished(self, result: Any, out_dir: str | Path, files: Sequence[str]) -> None:
        """What came out of it, in a few lines."""
        console.say(f'{headline(result.case_id, result.metrics)}   {result.timings["total"]:.1f} s')
        for warning in result.warnings:
            console.say(f'warning: {warning}')
        if files:
            console.say(f'followed: {", ".join(files)}')
        console.say(f'written to {out_dir}')


def show(bar: Progress, task: TaskID, step: ProgressEvent) -> None:
    """A step on a bar: one that cannot tell how far it is moves to and fro."""
    total = None if step.fraction is None else 1.0
    bar.update(task, description=step.name, detail=step.detail, total=total, completed=step.fraction or 0.0)


class CohortProgress:
    """Context manager around a batch run; :meth:`advance` after each case.

    Args:
        total: Number of cases.
        debug: Print the stack trace of each failure.
        shard: Which of several processes this is.
    """

    def __init__(self, total: int, debug: bool = False, shard: Shard | None = None):
        self.debug = debug
        self._shard = shard or Shard()
        several = f' (process {self._shard.rank + 1} of {self._shard.world})' if self._shard.world > 1 else ''
        self._bar = Progress(
            TextColumn(f'registering{several}'), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn(),
            TextColumn('{task.fields[now]}'), console=console.console(stderr=True),
        )  # fmt: skip
        self._task = self._bar.add_task('', total=total, now='')

    def __enter__(self) -> CohortProgress:
        if self._shard.is_first or not self._bar.console.is_terminal:  # one terminal has room for one bar
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def watch(self, step: ProgressEvent) -> None:
        """Show where the case in hand is."""
        done = '' if step.fraction is None else f' {100 * step.fraction:.0f} %'
        self._bar.update(self._task, now=f'{step.name}{done}')

    def advance(self, outcome: Outcome) -> None:
        """Show one finished case."""
        if outcome.status == 'skipped':
            # A case that was finished before costs nothing: it must not count for the rate.
            self._bar.update(self._task, total=(self._bar.tasks[0].total or 1) - 1)
            return
        self._bar.advance(self._task)
        self._bar.console.print(_line(outcome), markup=False)
        if self.debug and outcome.trace:
            self._bar.console.print(outcome.trace, markup=False)

    def summary(self, outcomes: Sequence[Outcome], out_dir: str | Path) -> int:
        """Print the closing line; returns the exit code, 1 where a case failed."""
        from mmreg.registration.cohort.tables import FAILURES  # draws, too: matplotlib

        counts = Counter(outcome.status for outcome in outcomes)
        seconds = [o.line['seconds'] for o in outcomes if o.status == 'done' and o.line.get('seconds') is not None]
        parts = [f'{counts["done"]} registered']
        if seconds:
            parts[0] += f' in {sum(seconds) / len(seconds):.2f} s on average'
        if counts['skipped']:
            parts.append(f'{counts["skipped"]} finished before (--overwrite registers them again)')
        if counts['failed']:
            parts.append(f'{counts["failed"]} failed, see {Path(out_dir) / FAILURES}')
        console.say('; '.join(parts) + f'; results in {out_dir}')
        for outcome in outcomes:
            if outcome.status == 'failed':
                console.say(f'failed: {outcome.case.case_id}: {outcome.reason}')
        return 1 if counts['failed'] else 0


def _line(outcome: Outcome) -> str:
    if outcome.status == 'failed':
        return f'{outcome.case.case_id}  failed: {outcome.reason}'
    line: dict[str, Any] = outcome.line
    parts = [outcome.case.case_id, f'{line["seconds"]:.1f} s']
    parts += [f'{name} {text}' for name, text in changes(line_metrics(line)).items()]
    return '  '.join(parts + ([f'warning: {line["warnings"]}'] if line.get('warnings') else []))
