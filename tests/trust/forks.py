"""Runs of ``mmreg`` in processes of their own that begin within milliseconds, and may be killed.

A server (``python -m tests.trust.forks``) imports everything once, computes nothing, hence has no threads, and forks a
child per run. A fork of the process of the tests would inherit locks of threads that it does not have.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What commands import when they need it; here once for all runs.
LATE_IMPORTS = ('matplotlib.pyplot', 'mmengine.runner', 'monai', 'torch._dynamo', 'scipy.ndimage', 'yapf')


class Runs:
    """Start, await and kill runs; a context manager."""

    def __enter__(self) -> Runs:
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'agg'}
        environment['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), environment.get('PYTHONPATH')]))
        command = [sys.executable, '-W', 'ignore', '-m', 'tests.trust.forks']
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._ask(wait=0, seconds=0)  # until everything is imported
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()

    def _ask(self, **request: object) -> object:
        self._server.stdin.write(json.dumps(request) + '\n')
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(self, argv, log, folder=None, memory=None) -> int:
        """Run ``mmreg argv`` in ``folder`` with stdout and stderr added to ``log``; returns the process's number.

        ``memory``: so many MiB more than at the start may be mapped.
        """
        argv = [os.fsdecode(word) if isinstance(word, bytes) else str(word) for word in argv]
        return self._ask(start=argv, log=str(Path(log).absolute()), folder=str(folder or Path.cwd()), memory=memory)

    def wait(self, pid, seconds=120) -> int | None:
        """Exit code (below zero: the signal); None where it did not end in time and was killed."""
        return self._ask(wait=pid, seconds=seconds)

    def run(self, argv, log, folder=None, seconds=120, memory=None) -> int | None:
        return self.wait(self.start(argv, log, folder, memory), seconds)

    def kill_after(self, pid, seconds) -> bool:
        """Kill the process, not those that it started, after so many seconds; False where it had ended before."""
        return self._ask(wait=pid, seconds=seconds, alone=True) is None


def serve() -> None:
    import mmreg.cli
    from mmreg.plugins import register_all_modules

    register_all_modules()
    for module, _ in mmreg.cli.COMMANDS.values():
        importlib.import_module(module)
    for module in LATE_IMPORTS:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # every collection in a child would walk through what was imported here
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), 'w')
    begun: set[int] = set()
    for line in requests:
        request = json.loads(line)
        found = _begin(request) if 'start' in request else _await(request)
        begun ^= {found if 'start' in request else request['wait']}
        answers.write(json.dumps(found) + '\n')
        answers.flush()
    for pid in begun - {0}:
        os.killpg(pid, signal.SIGKILL)


def _begin(request: dict) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        os.setsid()
        os.chdir(request['folder'])
        out = os.open(request['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if request['memory']:
            _limit(request['memory'])
        code = _main(request['start'])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _main(argv: list[str]) -> int:
    import traceback

    import mmreg.cli

    try:
        return mmreg.cli.main(argv) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        return 99


def _limit(mebibytes: int) -> None:
    import resource

    used = int(Path('/proc/self/statm').read_text(encoding='utf-8').split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (mebibytes << 20),) * 2)


def _await(request: dict) -> int | None:
    pid, end = request['wait'], time.monotonic() + request['seconds']
    if not pid:
        return None
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.003)
    (os.kill if request.get('alone') else os.killpg)(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


if __name__ == '__main__':
    serve()
