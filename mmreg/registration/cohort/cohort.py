"""Many pairs: resumable, shared among processes, and no case stops the others."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError, InputError
from mmreg.io.atomic import atomic_path
from mmreg.io.learn2reg import field_stems, read_note, unique_stems
from mmreg.io.tables import write_table
from mmreg.registration.pipeline import Pipeline, StartedPair
from mmreg.registration.results.folder import read_marker
from mmreg.registration.results.outputs import LAYOUTS
from mmreg.registration.results.possible import refuse_impossible
from mmreg.registration.results.result import RegistrationResult
from mmreg.registration.types import AffineLike
from mmreg.utils.console import sentence

from .cases import CohortCase
from .names import check_places
from .shards import Shard

RESULTS, FAILURES = 'results.csv', 'failures.csv'
_PAIRED = ('dice', 'hd95', 'tre')
_SINGLE = ('sdlogj', 'folds_percent')
COLUMNS = (
    'case_id', 'fixed', 'moving', 'preset', 'seconds',
    *(f'{name}{when}' for name in _PAIRED for when in ('_before', '')), *_SINGLE, 'overlap_percent', 'warnings',
)  # fmt: skip
FAILURE_COLUMNS = ('case_id', 'fixed', 'moving', 'reason')
#: Tables of long lists are not written so often that it would cost more than this share of the time.
_TABLE_SHARE = 0.05


@dataclass
class Outcome:
    """What became of one case: ``'done'``, ``'skipped'`` (finished before) or ``'failed'``."""

    case: CohortCase
    status: str
    line: dict[str, Any] = field(default_factory=dict)
    reason: str = ''
    trace: str = ''


@dataclass
class Cohort:
    """Registers the pairs of a list into one folder.

    With ``layout='files'`` each case gets a folder of its own, and ``results.csv`` a line; otherwise only the
    challenge's displacement file of each case is written. ``failures.csv`` lists what failed and why; it is absent
    where nothing did. All tables are replaced atomically after every case (in long lists: every few).

    Args:
        pipeline: Registers a pair.
        cases: The pairs, those of all processes.
        out_dir: Where the results go.
        layout: ``'files'``, ``'lumir'``, ``'learn2reg'`` or ``'oasis'``.
        overwrite: Register finished cases again. Otherwise a case counts as finished where its folder is complete and
            was made from the same files and settings; in a challenge layout, where that is so of its file.
        outputs: Which files per case, see :data:`~mmreg.registration.results.outputs.OUTPUTS`.
        affine: As in :class:`~mmreg.registration.pipeline.Pipeline`, for all cases.
        landmark_frame: The same.
        batch_size: So many pairs with equal working grids are displaced together.
        shard: Which process this is; it takes its share of the cases.
    """

    pipeline: Pipeline
    cases: Sequence[CohortCase]
    out_dir: Path
    layout: str = 'files'
    overwrite: bool = False
    outputs: Collection[str] | None = None
    affine: AffineLike = None
    landmark_frame: str | None = None
    batch_size: int = 1
    shard: Shard = field(default_factory=Shard)

    def __post_init__(self) -> None:
        self._names: dict[str, str] = {}
        if self.layout != 'files':
            self._names = layout_names(self.layout, self.cases)
            check_places(f'--layout {self.layout}', self._layout_names())
        self._settings: dict[str, Any] | None = None
        self._tables_due = 0.0

    def run(self, report: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
        """Register every case of this process's share that is not finished; ``report`` is called after each.

        Outcomes hold no voxels.
        """
        outcomes: list[Outcome] = []
        mine = self.shard.share(self.cases)
        if self.shard.world > 1:  # a process that fails must not remove the folder under the others
            self.out_dir.mkdir(parents=True, exist_ok=True)
        try:
            for outcome in self._outcomes(mine):
                outcomes.append(outcome)
                if outcome.status != 'skipped' and time.monotonic() >= self._tables_due:
                    self.write_tables(outcomes)
                report(outcome)
                outcome.trace = ''
        finally:
            if outcomes:
                self.write_tables(outcomes)
        return self._in_order(outcomes, mine)

    def merge(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Outcomes of all processes, in the order of the list; the first process writes the common tables."""
        if self.shard.world == 1:
            return list(outcomes)
        merged = self._in_order([one for part in self.shard.gather(outcomes) for one in part], self.cases)
        if self.shard.is_first:
            whole = Shard()
            self.write_tables(merged, whole)
            for rank in range(self.shard.world):
                part = Shard(rank, self.shard.world)
                for name in (RESULTS, FAILURES):
                    self._table(name, part).unlink(missing_ok=True)
        return merged

    def write_tables(self, outcomes: Sequence[Outcome], shard: Shard | None = None) -> None:
        """Replace both tables of a process; those of all where ``shard`` is a single one."""
        start = time.monotonic()
        shard = shard or self.shard
        if self.layout == 'files':
            lines = [o.line for o in outcomes if o.status != 'failed']
            write_table(self._table(RESULTS, shard), COLUMNS, lines, digits=6, nan='')
        failed = [{**_names(o.case), 'reason': o.reason} for o in outcomes if o.status == 'failed']
        if failed:
            write_table(self._table(FAILURES, shard), FAILURE_COLUMNS, failed)
        else:
            self._table(FAILURES, shard).unlink(missing_ok=True)
        now = time.monotonic()
        self._tables_due = now + (now - start) / _TABLE_SHARE if now - start > 0.1 else now

    def place(self, case: CohortCase) -> Path:
        """Folder, or in a challenge layout file, of a case."""
        if self.layout == 'files':
            return self.out_dir / case.case_id
        if case.case_id not in self._names:
            subjects = [Path(source['image']).name.split('.')[0] for source in (case.fixed, case.moving)]
            raise InputError(
                f'{case.case_id}: found the subjects {subjects[0]!r} and {subjects[1]!r}, expected numbers in the file '
                f'names as the layout {self.layout} wants'
            )
        return self.out_dir / self._names[case.case_id]

    def _layout_names(self) -> Iterator[tuple[str, str]]:
        """CohortCase and file, of those that have one: the others fail, with their reason, when their turn comes."""
        for case in self.cases:
            with suppress(InputError):
                yield case.case_id, self.place(case).name

    def settings(self) -> dict[str, Any]:
        """What a result depends on besides its files."""
        if self._settings is None:
            self._settings = {
                **self.pipeline.settings(),
                'label_sets': self.pipeline.options.label_sets,
                'labels': self.pipeline.options.labels,
                'affine': self.affine if isinstance(self.affine, str) else np.asarray(self.affine).tolist(),
                'landmark_frame': self.landmark_frame,
                'outputs': None if self.outputs is None else sorted(self.outputs),
            }
        return self._settings

    def _table(self, name: str, shard: Shard) -> Path:
        path = self.out_dir / name
        return path.with_name(f'{path.stem}{shard.suffix}{path.suffix}')

    @staticmethod
    def _in_order(outcomes: Sequence[Outcome], cases: Sequence[CohortCase]) -> list[Outcome]:
        position = {case.case_id: number for number, case in enumerate(cases)}
        return sorted(outcomes, key=lambda outcome: position[outcome.case.case_id])

    def _outcomes(self, cases: Sequence[CohortCase]) -> Iterator[Outcome]:
        waiting: list[CohortCase] = []
        for case in cases:
            finished = self._finished(case)
            if finished is not None:
                yield finished
                continue
            waiting.append(case)
            if len(waiting) >= self.batch_size:
                yield from self._register(waiting)
                waiting = []
        yield from self._register(waiting)

    def _finished(self, case: CohortCase) -> Outcome | None:
        if self.overwrite:
            return None
        if self.layout != 'files':
            place = self._place_or_none(case)
            known = place is not None and read_note(place) == case.fingerprint(self.settings())
            return Outcome(case, 'skipped') if known else None
        plan = read_marker(self.place(case))
        if plan is None or plan.get('request') != case.fingerprint(self.settings()):
            return None
        try:
            return Outcome(case, 'skipped', result_line(case, plan))
        except (KeyError, TypeError, AttributeError):  # a plan that is not one of ours
            return None

    def _place_or_none(self, case: CohortCase) -> Path | None:
        try:
            place = self.place(case)
        except InputError:
            return None  # fails, with its reason, when its turn comes
        return place if place.is_file() else None

    def _register(self, cases: Sequence[CohortCase]) -> Iterator[Outcome]:
        """Start some cases, displace those that fit together as one batch, finish each."""
        ready: list[tuple[CohortCase, StartedPair]] = []
        for case in cases:
            try:
                ready.append((case, self._start(case)))
            except Exception as error:
                yield _failed(case, error)
        ready.sort(key=lambda one: repr(one[1].key()))
        for _, group in groupby(ready, key=lambda one: one[1].key()):
            yield from self._displace(list(group))

    def _start(self, case: CohortCase) -> StartedPair:
        self.place(case)  # a name that the layout cannot have is told before the work
        files = case.files if self.layout == 'files' else case.files.only(self.pipeline.needed())
        return self.pipeline.start(files, case.case_id, affine=self.affine, landmark_frame=self.landmark_frame)

    def _displace(self, group: list[tuple[CohortCase, StartedPair]]) -> Iterator[Outcome]:
        try:
            moved = self.pipeline.displace([started for _, started in group])
        except Exception as error:
            if len(group) == 1:
                yield _failed(group[0][0], error)
                return
            for one in group:  # what one of them cannot do must not stop the others
                yield from self._displace([one])
            return
        for (case, started), one_moved in zip(group, moved):
            try:
                yield Outcome(case, 'done', self._finish(case, started, one_moved))
            except Exception as error:
                yield _failed(case, error)

    def _finish(self, case: CohortCase, started: StartedPair, moved: Any) -> dict[str, Any]:
        files = self.layout == 'files'
        result = self.pipeline.finish(started, moved, inverse=files, metrics=files)
        refuse_impossible(result)
        result.provenance['request'] = case.fingerprint(self.settings())
        if files:
            result.save(self.place(case), outputs=self.outputs)
        else:
            write_layout(self.layout, self.place(case), result)
        return result_line(case, result.provenance)


def _failed(case: CohortCase, error: Exception) -> Outcome:
    reason = sentence(error) or f'{type(error).__name__}: {" ".join(str(error).split())}'
    trace = ''.join(traceback.format_exception(error))
    return Outcome(case, 'failed', reason=reason, trace=trace)


def layout_names(layout: str, cases: Sequence[CohortCase]) -> dict[str, str]:
    """File name of every case in a challenge layout, as its scorer wants it; cases without numbers are left out."""
    known = [case for case in cases if _has_numbers(case)]
    stems = unique_stems([(case.fixed['image'], case.moving['image']) for case in known])
    return {case.case_id: f'{stem}{LAYOUTS[layout][0]}' for case, stem in zip(known, stems)}


def _has_numbers(case: CohortCase) -> bool:
    try:
        field_stems(case.fixed['image'], case.moving['image'])
    except DataError:
        return False
    return True


def write_layout(layout: str, path: Path, result: RegistrationResult) -> None:
    """Write the one file of a challenge layout, atomically."""
    with atomic_path(path) as temporary:
        LAYOUTS[layout][1](temporary, result)


def result_line(case: CohortCase, plan: dict[str, Any]) -> dict[str, Any]:
    """Line of ``results.csv`` from the plan of a result."""
    metrics = plan.get('metrics') or {}
    preset = (plan.get('preset') or {}).get('name')
    line: dict[str, Any] = {**_names(case), 'preset': preset, 'seconds': (plan.get('timings') or {}).get('total')}
    for name in _PAIRED:
        if name in metrics:
            line |= {f'{name}_before': metrics[name]['before'], name: metrics[name]['after']}
    line |= {name: metrics[name]['after'] for name in _SINGLE if name in metrics}
    return {**line, 'overlap_percent': metrics.get('overlap_percent'), 'warnings': ' '.join(plan.get('warnings') or ())}


def line_metrics(line: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Means of the paired metrics in a line of ``results.csv``, as in the ``metrics`` of a result."""
    found = {name: {'before': line.get(f'{name}_before'), 'after': line.get(name)} for name in _PAIRED}
    return {name: numbers for name, numbers in found.items() if None not in numbers.values()}  # type: ignore[misc]


def _names(case: CohortCase) -> dict[str, Any]:
    return {'case_id': case.case_id, 'fixed': case.fixed['image'], 'moving': case.moving['image']}
