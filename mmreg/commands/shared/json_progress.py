"""What a run says of itself to another program: one JSON document per line on stdout."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mmreg.utils.console import sentence

if TYPE_CHECKING:
    from mmreg.registration.cohort.outcome import Outcome
    from mmreg.registration.progress import ProgressEvent

#: A step is told again when so much more of it is done.
_NOTICEABLE = 0.01


class JsonProgress:
    """Context manager around a run; the same for one pair and for many.

    Every line has ``step``: ``start``, those of a :class:`~mmreg.registration.progress.ProgressEvent` with ``detail``
    and ``fraction`` (0 to 1, null where it cannot be told), ``case`` after each pair of a list, and ``done`` or
    ``error`` at the end.
    """

    def __init__(self, total: int | None = None) -> None:
        self._told: tuple[str, float | None] = ('', None)
        self._total, self._finished = total, 0

    def __enter__(self) -> JsonProgress:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            say('error', message=sentence(error) or f'{type(error).__name__}: {error}')

    def watch(self, step: ProgressEvent) -> None:
        """Tell where a registration is, unless that was just told."""
        name, fraction = self._told
        more = step.fraction is not None and (fraction is None or step.fraction >= fraction + _NOTICEABLE)
        if step.name != name or more or (step.fraction is not None and step.fraction < (fraction or 0.0)):
            self._told = (step.name, step.fraction)
            say(step.name, detail=step.detail, fraction=step.fraction)

    def advance(self, outcome: Outcome) -> None:
        """Tell what became of one pair of a list."""
        self._finished += 1
        self._told = ('', None)
        line = {key: value for key, value in outcome.line.items() if key != 'case_id'}
        say(
            'case', case_id=outcome.case.case_id, status=outcome.status, reason=outcome.reason,
            number=self._finished, total=self._total, **line,
        )  # fmt: skip

    def finished(self, result: Any, out_dir: str | Path, files: Sequence[str]) -> None:
        """The end of one pair."""
        say(
            'done', out=str(out_dir), case_id=result.case_id, seconds=result.timings['total'], metrics=result.metrics,
            warnings=result.warnings, files=list(files),
        )  # fmt: skip

    def summary(self, outcomes: Sequence[Outcome], out_dir: str | Path) -> int:
        """The end of a list; returns the exit code, 1 where a case failed."""
        counts = Counter(outcome.status for outcome in outcomes)
        failed = {o.case.case_id: o.reason for o in outcomes if o.status == 'failed'}
        say(
            'done', out=str(out_dir), registered=counts['done'], skipped=counts['skipped'], failed=counts['failed'],
            failures=failed,
        )  # fmt: skip
        return 1 if failed else 0


def say(step: str, **content: Any) -> None:
    """One line; numbers that are none become null."""
    from mmreg.io.plain import json_text  # loads what reads files: not for a first line

    sys.stdout.write(json_text({'step': step, **content}, indent=None))
    sys.stdout.flush()


def say_first(**content: str) -> None:
    """The first line, before anything slow is loaded."""
    sys.stdout.write(json.dumps({'step': 'start', **content}) + '\n')
    sys.stdout.flush()
