"""An array of Slurm jobs: each takes a share of the cases, and whoever asked for them gathers."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmreg.errors import ConfigError, DataError
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.outcome import Outcome
from mmreg.utils.atomic import write_text

from .base import Engine, LocalEngine, Report, silent
from .shares import write_share

#: Where the scripts and what Slurm says go, below the results.
FOLDER = 'slurm'


@dataclass
class SlurmEngine(Engine):
    """Submits an array of jobs, waits for it, and gathers; finished cases cost nothing when it is asked again.

    Args:
        jobs: Length of the array.
        options: More options of ``sbatch``, as one would write them: ``'--partition=gpu --mem=8G'``.

    Raises:
        ConfigError: there is no ``sbatch``.
    """

    jobs: int = 8
    options: str = ''

    def __post_init__(self) -> None:
        if shutil.which('sbatch') is None:
            raise ConfigError(
                '--engine slurm: found no command sbatch, expected to be on a machine of a Slurm cluster; '
                '--shard I/N does one share by hand'
            )

    def run(self, job: CohortJob, cases: Sequence[CohortCase], report: Report = silent) -> list[Outcome]:
        """Submit, wait, gather: what the array left undone is done here, with its reason where it fails."""
        jobs = min(self.jobs, len(cases))
        script = write_array(job, cases, jobs, self.options)
        command = ['sbatch', '--wait', '--parsable', str(script)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode and not found.stdout.strip():
            text = ' '.join(found.stderr.split())
            raise DataError(f'sbatch: found the exit code {found.returncode} ({text}), expected a job to be submitted')
        return LocalEngine().run(job, cases, report)


def write_array(job: CohortJob, cases: Sequence[CohortCase], jobs: int, options: str = '') -> Path:
    """The script of an array of ``jobs`` processes, with the job and its cases beside it.

    Returns:
        The script: ``sbatch SCRIPT`` submits it.
    """
    folder = job.how.out_dir.absolute() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, '-m', 'mmreg.registration.cohort.engines.shares', str(folder / 'job.json')]
    words += write_share(folder / 'job.json', job, cases)
    lines = [
        '#!/bin/sh',
        '#SBATCH --job-name=mmreg',
        f'#SBATCH --array=0-{jobs - 1}',
        f'#SBATCH --output={folder}/%A_%a.txt',
        *(f'#SBATCH {option}' for option in shlex.split(options)),
        '# Job number n takes every so-manieth case, beginning with number n.',
        f'exec {shlex.join(words)} --shard "$((SLURM_ARRAY_TASK_ID + 1))/{jobs}"',
    ]
    script = folder / 'array.sh'
    write_text(script, '\n'.join(lines) + '\n')
    script.chmod(0o755)
    return script
