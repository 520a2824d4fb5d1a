"""Workers of Dask: they come and go, and a case that one of them leaves behind is done by another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mmreg.errors import ConfigError, DataError
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.outcome import Outcome, failed
from mmreg.registration.pipeline import Pipeline

from .base import Engine, Report, silent

#: A case is given to another worker this often after its worker died, and handed in again this often after the
#: scheduler forgot it.
RETRIES, AGAIN = 3, 5
#: So many cases are with the scheduler at a time, per worker and at least: memory does not grow with the list.
_PER_WORKER, _LEAST = 4, 32
#: Seconds to wait for a scheduler: at the start, and for one that went away.
_CONNECT, _RECONNECT = 30.0, 120.0

#: The pipeline that this worker made last, by its job.
_PIPELINES: dict[str, Pipeline] = {}


@dataclass
class DaskEngine(Engine):
    """Gives every case to a worker of a Dask scheduler.

    Workers see the files under the same names, and have mmreg installed. They may join and leave at any time; a
    scheduler that is restarted is asked again for what it has forgotten. A folder of results appears whole or not at
    all, so a case that two workers did has one result.

    Args:
        address: Of the scheduler, such as ``tcp://host:8786``; a cluster of this machine is started where None.
        workers: Processes of such a cluster.
    """

    address: str | None = None
    workers: int = 2
    _client: Any = field(default=None, repr=False)
    _cluster: Any = field(default=None, repr=False)

    def __enter__(self) -> DaskEngine:
        """Connect.

        Raises:
            ConfigError: Dask is not installed, no scheduler answers, or the processes of this machine do not start.
        """
        if self.address is None:
            self._cluster = self._own_cluster()
        self._client = self._connected(_CONNECT)
        return self

    def _own_cluster(self) -> Any:
        cluster = _distributed().LocalCluster
        try:
            return cluster(n_workers=self.workers, threads_per_worker=1, processes=True, dashboard_address=None)
        except (RuntimeError, OSError, TimeoutError) as error:
            raise ConfigError(
                f'--engine dask: {self.workers} workers did not start on this machine ({error}), expected room for '
                'them; --workers asks for fewer'
            ) from error

    def __exit__(self, *error: object) -> None:
        """Close the connection, and a cluster of our own."""
        for one in (self._client, self._cluster):
            if one is not None:
                one.close()

    def run(self, job: CohortJob, cases: Sequence[CohortCase], report: Report = silent) -> list[Outcome]:
        """Every case, by whichever worker is free; the tables are written here."""
        cohort = job.cohort(cases)
        outcomes: list[Outcome] = []
        waiting, forgotten = [], dict.fromkeys((case.case_id for case in cases), 0)
        running: dict[Any, CohortCase] = {}

        def told(outcome: Outcome) -> None:
            outcomes.append(outcome)
            cohort.keep(outcomes)
            report(outcome)

        try:
            for case in cases:  # what is finished need not travel
                finished = cohort.finished(case)
                if finished is None:
                    waiting.append(case)
                else:
                    told(finished)
            waiting.reverse()
            while waiting or running:
                self._submit(job, waiting, running)
                for future in self._finished(running):
                    case = running.pop(future)
                    outcome = _outcome(future, case)
                    if outcome is None and forgotten[case.case_id] < AGAIN:
                        forgotten[case.case_id] += 1
                        waiting.append(case)
                        continue
                    told(outcome or failed(case, DataError('the scheduler lost this case again and again')))
        finally:
            outcomes = cohort.in_order(outcomes)
            if outcomes:
                cohort.write_tables(outcomes)
        return outcomes

    def _submit(self, job: CohortJob, waiting: list[CohortCase], running: dict[Any, CohortCase]) -> None:
        """Hand in what there is room for."""
        if self._client.status != 'running':
            self._client = self._connected(_RECONNECT)
        room = max(_LEAST, _PER_WORKER * len(self._client.scheduler_info()['workers'])) - len(running)
        for _ in range(min(room, len(waiting))):
            case = waiting.pop()
            running[self._client.submit(run_case, job, case, pure=False, retries=RETRIES)] = case

    def _finished(self, running: dict[Any, CohortCase]) -> list[Any]:
        """Those that ended; waits for one, but not beyond a moment, in which a scheduler may have gone away."""
        distributed = _distributed()
        with suppress(TimeoutError, OSError, distributed.CancelledError):
            distributed.wait(list(running), timeout=1.0, return_when='FIRST_COMPLETED')
        lost = self._client.status != 'running'
        return [future for future in running if lost or future.status != 'pending']

    def _connected(self, seconds: float) -> Any:
        """A client of the scheduler.

        Raises:
            ConfigError: none answers.
        """
        distributed, last = _distributed(), time.monotonic() + seconds
        while True:
            try:
                return distributed.Client(self.address or self._cluster, timeout=min(seconds, 10.0))
            except (OSError, TimeoutError, ValueError) as error:
                if time.monotonic() > last or isinstance(error, ValueError):
                    raise ConfigError(
                        f'--dask-scheduler {self.address}: found no scheduler that answers within {seconds:g} s, '
                        'expected the address of one, such as tcp://host:8786'
                    ) from error
                time.sleep(1.0)


def run_case(job: CohortJob, case: CohortCase) -> Outcome:
    """One case of a job, in whichever process; the pipeline stays for the next. Whoever gave it writes the tables."""
    if job.key not in _PIPELINES:
        _PIPELINES.clear()
        _PIPELINES[job.key] = job.pipeline()
    return job.cohort([case], pipeline=_PIPELINES[job.key]).one(case)


def _outcome(future: Any, case: CohortCase) -> Outcome | None:
    """What came back; a failure where every worker died that was given the case; None where it was forgotten."""
    if future.status == 'finished':
        try:
            return future.result(timeout=60)
        except Exception:  # the worker that held it is gone, or the scheduler: the case itself was not at fault
            return None
    if future.status != 'error':
        return None
    error = future.exception()
    if type(error).__name__ == 'KilledWorker':
        error = DataError('every worker that was given this case died, perhaps for want of memory')
    return failed(case, error)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ConfigError("--engine dask needs Dask, expected it installed: pip install 'mmreg[dask]'.") from error
    return distributed
