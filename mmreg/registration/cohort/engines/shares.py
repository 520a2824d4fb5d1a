"""One share of a job that was written to a file: what each process of an array runs.

The file holds plain values and is data. What is executed, a network's config and plugins, is named on the command line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from mmreg.errors import MISFIT, ConfigError, DataError, InputError
from mmreg.io.plain import plain
from mmreg.io.tables import write_json
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.cohort.shards import Shard
from mmreg.registration.options import RunOptions
from mmreg.utils import console
from mmreg.utils.text_files import read_json

#: Of a job, what the command line names instead.
_EXECUTED = ('model', 'checkpoint')


def write_share(path: Path, job: CohortJob, cases: Sequence[CohortCase]) -> list[str]:
    """Write a job and its cases as JSON.

    Returns:
        What the command line of a share needs besides the file.

    Raises:
        ConfigError: a model that is not named by a file.
    """
    options = {one.name: getattr(job.options, one.name) for one in fields(RunOptions)}
    if options['model'] is not None and not isinstance(options['model'], str | Path):
        raise ConfigError(
            'model: found one that is built already, expected its config file to hand to other processes.'
        )
    words = [word for name in _EXECUTED if options[name] for word in (f'--{name}', str(options.pop(name)))]
    words += [word for plugin in job.plugins for word in ('--plugin', plugin)]
    how = {one.name: getattr(job.how, one.name) for one in fields(CohortSettings)}
    content = {
        'options': {name: value for name, value in options.items() if name not in _EXECUTED},
        'how': {**how, 'out_dir': str(job.how.out_dir.absolute())},
        'key': job.key,
        'cases': [asdict(case) for case in cases],
    }
    write_json(path, plain(content), keep_nan=True)
    return words


def read_share(path: Path, executed: dict[str, Any], plugins: Sequence[str]) -> tuple[CohortJob, list[CohortCase]]:
    """A job and its cases.

    Raises:
        DataError: the file is not one of :func:`write_share`.
    """
    content = read_json(path, 'a job of mmreg')
    try:
        if set(content['options']) & set(_EXECUTED):
            raise TypeError('a model is named in a file')
        options = {**content['options'], **executed}
        how = CohortSettings(**_paths(content['how']))
        job = CohortJob(RunOptions(**options), how, tuple(plugins), content['key'])
        return job, [CohortCase(**case) for case in content['cases']]
    except InputError:
        raise
    except MISFIT as error:
        raise DataError(f'{path}: {error}, expected a job of mmreg') from error


def _paths(values: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    affine = values['affine']
    return {
        **values,
        'out_dir': Path(values['out_dir']),
        'affine': np.array(affine) if isinstance(affine, list) else affine,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Do one share; returns the exit code, 0 also where cases failed: whoever gathers says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('job')
    parser.add_argument('--shard', required=True)
    parser.add_argument('--plugin', action='append', default=[])
    for name in _EXECUTED:
        parser.add_argument(f'--{name}')
    args = parser.parse_args(argv)
    return console.run(lambda: _share(args))


def _share(args: argparse.Namespace) -> None:
    executed = {name: getattr(args, name) for name in _EXECUTED if getattr(args, name)}
    job, cases = read_share(Path(args.job), executed, args.plugin)
    shard = Shard.of(args.shard)
    device = shard.device(None if job.options.device is None else str(job.options.device))
    job = replace(job, options=replace(job.options, device=device))
    for outcome in job.cohort(cases, shard).run():
        console.say(f'{outcome.case.case_id}: {outcome.status} {outcome.reason}'.rstrip())


if __name__ == '__main__':
    sys.exit(main())
