"""What the commands that register files do once their options are read: one pair or a list, console, exit code."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmreg.errors import DataError
from mmreg.registration.options import RunOptions
from mmreg.utils import console

from .engine_options import engine_of
from .engine_parts import import_what_registers
from .file_options import as_file, with_reading
from .json_progress import JsonProgress, say_first
from .run_options import pair_files, run_options


def run(args: argparse.Namespace, model: Any = None) -> int:
    """Register what the options name.

    Args:
        args: Options of :mod:`mmreg.commands.shared.run_options`, checked.
        model: Config of a network where ``args`` has it under another name.

    Returns:
        The exit code: 0, or 1 where some pairs of a list failed.
    """
    check_there(args)
    announce(args)
    import_what_registers()
    from mmreg.registration.alignment import read_affine  # torch is loaded here, after the options were checked

    with stopping_on_sigterm():
        cases = _cases(args) if args.pairs else None
        args.affine = read_affine(args.affine)
        if args.plugin:
            from mmreg.plugins import register_all_modules

            register_all_modules(args.plugin)
        options = run_options(args, **({} if model is None else {'model': model}))
        if cases is not None:
            return _many(args, options, cases)
        from mmreg.registration.register import make_pipeline

        return _one(args, make_pipeline(options))


def check_there(args: argparse.Namespace) -> None:
    """Refuse names of files that do not exist, before anything slow is loaded.

    Raises:
        DataError: naming the first of them.
    """
    what = {'landmarks': 'landmarks', 'labels': 'a label map', 'mask': 'a mask'}
    named = [(path, what.get(name.rpartition('_')[2], 'an image')) for name, path in pair_files(args).items()]
    named += [(path, 'an image, landmarks or a mesh') for path in args.also]
    for path, expected in named:
        if '\0' not in path and not os.path.lexists(path):
            raise DataError(f'{path}: found no such file, expected {expected}')


def announce(args: argparse.Namespace) -> None:
    """Say what is going to happen while the libraries are loaded, which takes seconds."""
    if args.progress == 'json':
        say_first(**({'pairs': args.pairs} if args.pairs else {'fixed': args.fixed, 'moving': args.moving}))
    else:
        told = f'pairs of {args.pairs}' if args.pairs else f'{_short(args.moving)} to {_short(args.fixed)}'
        begin(f'registering {told}')


def begin(what: str) -> None:
    """Say in one line what is going to be done, once among the processes that torchrun starts."""
    if os.environ.get('RANK') in (None, '', '0'):
        console.say(' '.join(what.split()))


def _short(path: str) -> str:
    return Path(path).name or path


def _cases(args: argparse.Namespace) -> list[Any]:
    from mmreg.plugins import register_all_modules
    from mmreg.registration.cohort.cases import read_cases

    register_all_modules()
    return with_reading(args, read_cases(args.pairs, args.data_root, args.split))


def _one(args: argparse.Namespace, pipeline: Any) -> int:
    from mmreg.registration.results.possible import refuse_impossible

    from .following import Following
    from .run_progress import PairProgress

    files = {name: as_file(args, name, path) for name, path in pair_files(args).items()}
    along = Following(args.also, args.landmark_frame)
    with JsonProgress() if args.progress == 'json' else PairProgress() as progress:
        watch = progress.watch
        result = pipeline(**files, affine=args.affine, landmark_frame=args.landmark_frame, watch=watch)
        refuse_impossible(result)
        result.save(args.out, outputs=args.outputs, also=along.jobs(result), watch=watch)
    progress.finished(result, args.out, along.files())
    return 0


def _many(args: argparse.Namespace, options: RunOptions, cases: list[Any]) -> int:
    from mmreg.registration.cohort.disk import check_disk
    from mmreg.registration.cohort.job import CohortJob
    from mmreg.registration.cohort.settings import CohortSettings
    from mmreg.registration.cohort.shards import Shard

    from .run_progress import CohortProgress

    how = CohortSettings(
        Path(args.out), args.layout, args.overwrite, args.outputs, args.affine, args.landmark_frame, args.batch_size
    )
    job = CohortJob(options, how, tuple(args.plugin))
    shard = Shard.of(args.shard) if args.shard else Shard.from_environment()
    if shard.is_first:
        check_disk(job, cases, tell=None if args.progress == 'json' else console.say)

    def shown(total: int, shard: Shard) -> JsonProgress | CohortProgress:
        return JsonProgress(total) if args.progress == 'json' else CohortProgress(total, args.debug, shard)

    if args.shard:
        with shown(len(shard.share(cases)), shard) as progress:
            cohort = job.cohort(cases, shard)
            cohort.watch = progress.watch
            return progress.summary(cohort.run(progress.advance), args.out)
    engine = engine_of(args)
    with engine, shown(len(engine.share(cases)), engine.shard) as progress:
        engine.watch = progress.watch
        outcomes = engine.run(job, cases, progress.advance)
    # A launcher stops all processes when one of them fails: only the first one, which ends last, tells.
    return progress.summary(outcomes, args.out) if engine.is_first else 0


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the command like Ctrl-C: nothing half-written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield  # whoever started us handles signals
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
