"""What a long list costs beside its registrations: time and memory per pair, and how soon a rerun goes on.

    python benchmarks/cohort_scale.py [--pairs 1000] [--registered N] [--engine local|dask] [--workers 2] [--profile]

Pairs of 8 x 8 voxels, one iteration each, no affine, only the displacement is written. The list is run up to its
middle, and stopped; a new process goes on to the end; a third one finds everything finished. Printed are, per tenth of
the list, milliseconds per pair (CPU of this process, and wall) and its memory, and the seconds that the second and the
third process took before their first new pair, or their end. With --engine dask the registrations are the workers', and
the CPU time is that of handing out, gathering and tables. Last, where Chromium is installed: how long the page of all
pairs takes until its table is there.

With --registered N only N pairs at the beginning, in the middle and at the end are registered. Those between are copies
of the first one's result under the names of the others, with their lines in the index, as if they had been.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import multiprocessing
import pstats
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mmreg.registration.cohort.cases import CohortCase
    from mmreg.registration.cohort.job import CohortJob

SIZE = 8


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pairs', type=int, default=1000)
    parser.add_argument('--registered', type=int, help='so many at three places; the others are copies')
    parser.add_argument('--engine', choices=('local', 'dask'), default='local')
    parser.add_argument('--workers', type=int, default=2, help='of Dask')
    parser.add_argument('--profile', action='store_true', help='of the second half: functions by their own time')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_list(folder, args.pairs)
        print(f'{args.pairs} pairs, {args.engine}')
        print(f'{"pairs":>12}{"CPU ms":>9}{"wall ms":>9}{"MiB":>7}   per pair, this process')
        half, few = args.pairs // 2, args.registered
        show(in_new_process(folder, args, few or half))
        if few:
            copy_results(folder, few, half)
        second = in_new_process(folder, args, few, args.profile)
        show(second)
        if few:
            copy_results(folder, half + few, args.pairs - few)
            show(in_new_process(folder, args, None))
        last = in_new_process(folder, args, None)
        print(f'going on after {half}: {second["until_new_cpu"]:.2f} CPU s ({second["until_new"]:.2f} s) for what is '
              f'done, {1000 * second["until_new_cpu"] / half:.2f} ms each')  # fmt: skip
        print(f'nothing left to do: {last["cpu"]:.2f} CPU s ({last["wall"]:.2f} s), tables and page of all included')
        page = folder / 'out' / 'index.html'
        print(f'index.html: {page.stat().st_size / 1e6:.2f} MB{opened(page)}')


def show(found: dict[str, Any]) -> None:
    """The rows of a part of the work."""
    for row in found['rows']:
        print(f'{row["pairs"]:>12}{row["cpu_ms"]:9.2f}{row["wall_ms"]:9.2f}{row["mib"]:7.0f}', flush=True)


def copy_results(folder: Path, first: int, last: int) -> None:
    """Give some pairs of the list the result of its first one."""
    from mmreg.registration.cohort.done import DoneIndex
    from mmreg.registration.cohort.outcome import Outcome, names_of, names_of_files, result_line

    job, cases = job_and_cases(folder)
    settings, index, out = job.cohort(cases).settings(), DoneIndex(job.how.out_dir), job.how.out_dir
    plan = json.loads((out / cases[0].case_id / 'plan.json').read_text())
    for case in cases[first:last]:
        place = out / case.case_id
        if place.exists():  # workers had more in hand when the list was stopped
            continue
        shutil.copytree(out / cases[0].case_id, place)
        plan['request'] = case.fingerprint(settings)
        (place / 'plan.json').write_text(json.dumps(plan))
        line = {**result_line(case, plan), **names_of(case)}
        index.add(Outcome(case, 'done', line, files=names_of_files(plan['files']), request=plan['request']), place)


def job_and_cases(folder: Path) -> tuple[CohortJob, list[CohortCase]]:
    """What is done with the list."""
    from mmreg.plugins import register_all_modules
    from mmreg.registration.cohort.cases import read_cases
    from mmreg.registration.cohort.job import CohortJob
    from mmreg.registration.cohort.settings import CohortSettings
    from mmreg.registration.options import RunOptions

    register_all_modules()
    quick = {'optimisation.levels': [{'spacing': 1.0, 'iterations': 1}]}
    options = RunOptions(preset='generic', affine='none', cfg_options=quick)
    how = CohortSettings(folder / 'out', affine='none', outputs=('displacement',))
    return CohortJob(options, how), read_cases(folder / 'pairs.csv')


def make_list(folder: Path, count: int) -> None:
    """A table of ``count`` pairs of about as many images as its square root, twice."""
    from mmreg.io import Geometry, Volume, write_volume

    several = int(np.ceil(np.sqrt(count)))
    grid = np.indices((SIZE, SIZE)) - SIZE / 2
    for role in 'fm':
        for number in range(several):
            shift = 0.5 * np.sin(number + (role == 'm'))
            image = 100 * np.exp(-(((grid - shift) / 2) ** 2).sum(0)).astype(np.float32)
            write_volume(folder / f'{role}{number}.nii', Volume(image, Geometry.from_parts((SIZE, SIZE))))
    rows = [f'f{n // several}.nii,m{n % several}.nii,case{n:05d}' for n in range(count)]
    (folder / 'pairs.csv').write_text('\n'.join(['fixed,moving,case_id', *rows]) + '\n')


def in_new_process(folder: Path, args: argparse.Namespace, stop: int | None, profile: bool = False) -> dict[str, Any]:
    """What :func:`work` says, from a process of its own: its memory is that of this part of the work."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:  # no daemon, so that it has workers
        text = pool.submit(work, str(folder), args.engine, args.workers, stop, profile, args.registered).result()
    return json.loads(text)


def work(folder: str, name: str, workers: int, stop: int | None, profile: bool, every: int | None) -> str:
    """Go through the list, up to ``stop`` new pairs; JSON of what it cost."""
    from mmreg.registration.cohort.engines.base import Engine, LocalEngine
    from mmreg.registration.cohort.engines.dask import DaskEngine

    job_and_cases(Path(folder))  # everything is imported once
    engine: Engine = DaskEngine(workers=workers) if name == 'dask' else LocalEngine()
    with engine:
        began, cpu = time.perf_counter(), time.process_time()
        job, cases = job_and_cases(Path(folder))
        counting = Counting(max(1, every or len(cases) // 10), stop)
        with profiled() if profile else nullcontext(), suppress(KeyboardInterrupt):
            engine.run(job, cases, counting)
        found = {'rows': counting.rows, 'wall': time.perf_counter() - began, 'cpu': time.process_time() - cpu}
    if counting.first is not None:
        found |= {'until_new': counting.first[0] - began, 'until_new_cpu': counting.first[1] - cpu}
    return json.dumps(found)


class Counting:
    """Notes time and memory per tenth of the list; stops after so many new pairs."""

    def __init__(self, every: int, stop: int | None):
        self.every, self.stop = every, stop
        self.rows: list[dict[str, Any]] = []
        self.first: tuple[float, float] | None = None
        self._seen = self._new = 0
        self._last = (0, 0.0, 0.0)

    def __call__(self, outcome: Any) -> None:
        assert outcome.status != 'failed', outcome.reason
        self._seen += 1
        if outcome.status != 'done':
            return
        self._new += 1
        now = time.perf_counter(), time.process_time()
        if self.first is None:
            self.first, self._last = now, (self._seen, *now)
        elif self._seen - self._last[0] >= self.every - 1:
            count = self._seen - self._last[0]
            wall, cpu = (1000 * (new - old) / count for new, old in zip(now, self._last[1:]))
            span = f'{self._last[0]}-{self._seen}'
            self.rows.append({'pairs': span, 'cpu_ms': cpu, 'wall_ms': wall, 'mib': memory()})
            self._last = (self._seen, *now)
        if self._new == self.stop:
            raise KeyboardInterrupt


def opened(page: Path) -> str:
    """How long headless Chromium takes from the start of loading a page until its table is there; '' without it."""
    browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if browser is None:
        return ''
    note = "<script>document.body.dataset.opened = performance.now() + ' ' + document.documentElement.dataset.ready"
    head, mark, tail = page.read_text(encoding='utf-8').rpartition('</body>')
    timed = page.with_name('timed.html')
    timed.write_text(f'{head}{note}</script>{mark}{tail}', encoding='utf-8')
    found = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as profile:
            flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run']
            command = [browser, *flags, f'--user-data-dir={profile}', '--dump-dom', timed.as_uri()]
            text = subprocess.run(command, check=True, capture_output=True, encoding='utf-8', timeout=300).stdout
        told = re.search(r'data-opened="([0-9.]+) yes"', text)
        assert told, 'the table did not appear'
        found.append(float(told[1]) / 1000)
    return f', opens in {np.median(found):.2f} s (median of {len(found)}, {min(found):.2f} to {max(found):.2f})'


def memory() -> float:
    """Resident memory of this process, MiB (on Linux; elsewhere its peak)."""
    status = Path('/proc/self/statm')
    if status.is_file():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def profiled() -> Iterator[None]:
    """Prints the functions that took the most time."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    yield
    profile.disable()
    for order in ('tottime', 'cumulative'):
        pstats.Stats(profile).sort_stats(order).print_stats(45)


if __name__ == '__main__':
    main()
