"""Many pairs: resumable, shared among processes, and no case stops the others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import MISFIT, InputError
from mmreg.io.learn2reg import read_note
from mmreg.registration.pipeline import Pipeline, StartedPair
from mmreg.registration.progress import ProgressCallback
from mmreg.registration.results.folder import read_marker
from mmreg.registration.results.possible import refuse_impossible

from .cases import CohortCase
from .done import DoneIndex
from .outcome import Outcome, failed, names_of_files, result_line
from .places import Places, write_layout
from .settings import CohortSettings
from .shards import Shard
from .tables import CohortTables

#: Tables are written after each of the first cases; then not so often that it would cost more than this share of the
#: time.
_FIRST, _TABLE_SHARE = 20, 0.05


@dataclass
class Cohort:
    """Registers the pairs of a list into one folder.

    With the layout ``'files'`` each case gets a folder of its own, and ``results.csv`` a line; otherwise only the
    challenge's displacement file of each case is written. ``failures.csv`` lists what failed and why; it is absent
    where nothing did. All tables are replaced atomically after every case (in long lists: every few).

    Args:
        pipeline: Registers a pair.
        cases: The pairs, those of all processes.
        how: Where the results go, and how they are made.
        shard: Which process this is; it takes its share of the cases.
        watch: Called with where the case in hand is.
    """

    pipeline: Pipeline
    cases: Sequence[CohortCase]
    how: CohortSettings
    shard: Shard = field(default_factory=Shard)
    watch: ProgressCallback = None

    def __post_init__(self) -> None:
        self._places = Places(self.how.layout, self.cases)
        self._settings: dict[str, Any] | None = None
        self._done = DoneIndex(self.how.out_dir)
        self._tables_due = 0.0

    def run(self, report: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
        """Register every case of this process's share that is not finished; ``report`` is called after each.

        Outcomes hold no voxels.
        """
        outcomes: list[Outcome] = []
        mine = self.shard.share(self.cases)
        if self.shard.world > 1:  # a process that fails must not remove the folder under the others
            self.how.out_dir.mkdir(parents=True, exist_ok=True)
        try:
            for outcome in self._outcomes(mine):
                outcomes.append(outcome)
                self.keep(outcomes)
                report(outcome)
                outcome.trace = ''
        finally:
            if outcomes:
                self.write_tables(outcomes)
        return self.in_order(outcomes, mine)

    def one(self, case: CohortCase) -> Outcome:
        """Register a single case, if it is not finished; no table is written."""
        return next(iter(self._outcomes([case])))

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Note the last of ``outcomes``, and replace the tables unless that was done a moment ago."""
        if outcomes[-1].request and self.how.layout == 'files':  # nothing else belongs into a submission
            self._done.add(outcomes[-1], self.place(outcomes[-1].case))
        if outcomes[-1].status != 'skipped' and time.monotonic() >= self._tables_due:
            self.write_tables(outcomes)

    def merge(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Outcomes of all processes, in the order of the list; the first process writes the common tables."""
        if self.shard.world == 1:
            return list(outcomes)
        merged = self.in_order([one for part in self.shard.gather(outcomes) for one in part], self.cases)
        if self.shard.is_first:
            self.tables.merge(merged, self.shard.world)
        return merged

    def write_tables(self, outcomes: Sequence[Outcome], shard: Shard | None = None) -> None:
        """Replace both tables of a process, this one by default."""
        start = time.monotonic()
        self.tables.write(outcomes, shard or self.shard)
        now = time.monotonic()
        self._tables_due = now + (now - start) / _TABLE_SHARE if len(outcomes) > _FIRST else now

    @property
    def tables(self) -> CohortTables:
        """The tables in the folder of the results."""
        return CohortTables(self.how.out_dir, self.how.layout == 'files')

    def place(self, case: CohortCase) -> Path:
        """Folder, or in a challenge layout file, of a case."""
        return self.how.out_dir / self._places.of(case)

    def settings(self) -> dict[str, Any]:
        """What a result depends on besides its files."""
        if self._settings is None:
            self._settings = {
                **self.pipeline.settings(),
                'label_sets': self.pipeline.options.label_sets,
                'labels': self.pipeline.options.labels,
                'affine': self.how.affine if isinstance(self.how.affine, str) else np.asarray(self.how.affine).tolist(),
                'landmark_frame': self.how.landmark_frame,
                'fill': self.pipeline.options.fill,
                'inverse': self.how.inverse,
                **self._shown(),
                'outputs': None if self.how.outputs is None else sorted(self.how.outputs),
            }
        return self._settings

    def _shown(self) -> dict[str, Any]:
        """What says how results are shown, where it was asked for: older results know nothing of it."""
        options = self.pipeline.options
        found = {'label_names': dict(self.pipeline.label_names), 'view': options.view}
        return {name: value for name, value in found.items() if value not in ({}, 'neurological')}

    def in_order(self, outcomes: Sequence[Outcome], cases: Sequence[CohortCase] | None = None) -> list[Outcome]:
        """Outcomes in the order of the list."""
        cases = self.cases if cases is None else cases
        position = {case.case_id: number for number, case in enumerate(cases)}
        return sorted(outcomes, key=lambda outcome: position[outcome.case.case_id])

    def _outcomes(self, cases: Sequence[CohortCase]) -> Iterator[Outcome]:
        waiting: list[CohortCase] = []
        for case in cases:
            finished = self.finished(case)
            if finished is not None:
                yield finished
                continue
            waiting.append(case)
            if len(waiting) >= self.how.batch_size:
                yield from self._register(waiting)
                waiting = []
        yield from self._register(waiting)

    def finished(self, case: CohortCase) -> Outcome | None:
        """A case whose result is there, made from the same files and settings; None where it has to be registered."""
        if self.how.overwrite:
            return None
        try:
            place = self.place(case)
        except InputError:
            return None  # fails, with its reason, when its turn comes
        request = case.fingerprint(self.settings())
        known = self._done.find(case, request, place)
        if known is not None:
            return known
        if self.how.layout != 'files':
            there = place.is_file() and read_note(place) == request
            return Outcome(case, 'skipped', request=request) if there else None
        plan = read_marker(place)
        if plan is None or plan.get('request') != request:
            return None
        try:
            line = result_line(case, plan)
            return Outcome(case, 'skipped', line, files=names_of_files(plan['files']), request=request)
        except MISFIT:  # a plan that is not one of ours
            return None

    def _register(self, cases: Sequence[CohortCase]) -> Iterator[Outcome]:
        """Start some cases, displace those that fit together as one batch, finish each."""
        ready: list[tuple[CohortCase, StartedPair]] = []
        for case in cases:
            try:
                ready.append((case, self._start(case)))
            except Exception as error:
                yield failed(case, error)
        ready.sort(key=lambda one: repr(one[1].key()))
        for _, group in groupby(ready, key=lambda one: one[1].key()):
            yield from self._displace(list(group))

    def _start(self, case: CohortCase) -> StartedPair:
        self.place(case)  # a name that the layout cannot have is told before the work
        files = case.files if self.how.layout == 'files' else case.files.only(self.pipeline.needed())
        return self.pipeline.start(
            files,
            case.case_id,
            affine=case.affine or self.how.affine,
            landmark_frame=self.how.landmark_frame,
            watch=self.watch,
        )

    def _displace(self, group: list[tuple[CohortCase, StartedPair]]) -> Iterator[Outcome]:
        try:
            moved = self.pipeline.displace([started for _, started in group], self.watch)
        except Exception as error:
            if len(group) == 1:
                yield failed(group[0][0], error)
                return
            for one in group:  # what one of them cannot do must not stop the others
                yield from self._displace([one])
            return
        for (case, started), one_moved in zip(group, moved):
            try:
                line, request = self._finish(case, started, one_moved)
                yield Outcome(case, 'done', line, files=self._files(case), request=request)
            except Exception as error:
                yield failed(case, error)

    def _files(self, case: CohortCase) -> frozenset[str]:
        folder = self.place(case)
        return names_of_files(os.listdir(folder)) if folder.is_dir() else frozenset()

    def _finish(self, case: CohortCase, started: StartedPair, moved: Any) -> tuple[dict[str, Any], str]:
        """Write the result; its line, and the digest that it is known by."""
        files = self.how.layout == 'files'
        inverse = self.how.inverse if files else False
        result = self.pipeline.finish(started, moved, inverse=inverse, metrics=files, watch=self.watch)
        refuse_impossible(result)
        request = result.provenance['request'] = case.fingerprint(self.settings())
        if files:
            result.save(self.place(case), outputs=self.how.outputs, watch=self.watch)
        else:
            write_layout(self.how.layout, self.place(case), result)
        return result_line(case, result.provenance), request
