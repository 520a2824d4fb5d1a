"""What the commands that register files do once their options are read: one pair or a list, console, exit code."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmreg.registration.options import RunOptions
from mmreg.utils import console

from .engine_options import engine_of
from .file_options import as_file, with_reading
from .run_options import pair_files, run_options


def run(args: argparse.Namespace, model: Any = None) -> int:
    """Register what the options name.

    Args:
        args: Options of :mod:`mmreg.commands.shared.run_options`, checked.
        model: Config of a network where ``args`` has it under another name.

    Returns:
        The exit code: 0, or 1 where some pairs of a list failed.
    """
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


def _cases(args: argparse.Namespace) -> list[Any]:
    from mmreg.plugins import register_all_modules
    from mmreg.registration.cohort.cases import read_cases

    register_all_modules()
    return with_reading(args, read_cases(args.pairs, args.data_root, args.split))


def _one(args: argparse.Namespace, pipeline: Any) -> int:
    from mmreg.registration.results.headline import headline
    from mmreg.registration.results.possible import refuse_impossible

    from .run_progress import PairProgress

    files = {name: as_file(args, name, path) for name, path in pair_files(args).items()}
    with PairProgress() as progress:
        watch = progress.advance
        result = pipeline(**files, affine=args.affine, landmark_frame=args.landmark_frame, watch=watch)
        refuse_impossible(result)
        progress.note('writing')
        result.save(args.out, outputs=args.outputs)
    console.say(f'{headline(result.case_id, result.metrics)}   {result.timings["total"]:.1f} s')
    for warning in result.warnings:
        console.say(f'warning: {warning}')
    console.say(f'written to {args.out}')
    return 0


def _many(args: argparse.Namespace, options: RunOptions, cases: list[Any]) -> int:
    from mmreg.registration.cohort.job import CohortJob
    from mmreg.registration.cohort.shards import Shard

    from .run_progress import CohortProgress

    job = CohortJob(
        options, Path(args.out), args.layout, args.overwrite, args.outputs, args.affine, args.landmark_frame,
        args.batch_size, plugins=tuple(args.plugin),
    )  # fmt: skip
    if args.shard:
        shard = Shard.of(args.shard)
        with CohortProgress(len(shard.share(cases)), debug=args.debug, shard=shard) as progress:
            return progress.summary(job.cohort(cases, shard).run(progress.advance), args.out)
    engine = engine_of(args)
    with engine, CohortProgress(len(engine.share(cases)), debug=args.debug, shard=engine.shard) as progress:
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
