"""CPU seconds until a command answers: python benchmarks/startup.py [REPEATS]

The least of a few starts, each in a process of its own: the machine's other work only adds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    'mmreg --help': 0.2, 'mmreg --version': 0.2, 'mmreg register --help': 0.5, 'mmreg list': 2.0,
    'mmreg list LNCC': 2.0, 'mmreg models': 2.0,
}  # fmt: skip


def cpu_seconds(words: list[str]) -> float:
    """Of one start, user and system."""
    before = os.times()
    subprocess.run([sys.executable, '-m', 'mmreg.cli', *words], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def first_line() -> tuple[float, float]:
    """Seconds until `mmreg register` says something, and CPU seconds of them (on Linux)."""
    with tempfile.TemporaryDirectory() as folder:
        for name in 'ab':
            (Path(folder) / f'{name}.nii').write_bytes(b'')
        words = ['register', f'{folder}/a.nii', f'{folder}/b.nii', '-o', f'{folder}/out']
        start = time.perf_counter()
        command = [sys.executable, '-u', '-m', 'mmreg.cli', *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            seconds = time.perf_counter() - start
            spent = Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()[11:13]
            process.kill()
    return seconds, sum(map(int, spent)) / os.sysconf('SC_CLK_TCK')


def main() -> None:
    """Print a line per command: measured, wanted."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for command, most in COMMANDS.items():
        least = min(cpu_seconds(command.split()[1:]) for _ in range(repeats))
        print(f'{command:<22} {least:5.2f} CPU s   (at most {most})')
    seconds, cpu = map(min, zip(*(first_line() for _ in range(repeats))))
    print(f'{"mmreg register: line":<22} {seconds:5.2f} s, {cpu:.2f} CPU s   (at most 0.5)')


if __name__ == '__main__':
    main()
