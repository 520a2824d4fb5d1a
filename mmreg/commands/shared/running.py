"""What the commands that register files do once their options are read: one pair or a list, console, exit code."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmreg.utils import console

from .file_options import as_file, with_reading
from .run_options import pair_files


def run(args: argparse.Namespace, make: Callable[[], Any]) -> int:
    """Register what the options name.

    Args:
        args: Options of :mod:`mmreg.commands.shared.run_options`, checked.
        make: Builds the :class:`~mmreg.registration.pipeline.Pipeline`; called after the list and the affine were read.

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
        return _one(args, make()) if cases is None else _many(args, make, cases)


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


def _many(args: argparse.Namespace, make: Callable[[], Any], cases: list[Any]) -> int:
    from mmreg.registration.cohort.cohort import Cohort
    from mmreg.registration.cohort.shards import Shard

    from .run_progress import CohortProgress

    shard = Shard.from_environment()
    args.device = shard.device(args.device)
    cohort = Cohort(
        make(), cases, Path(args.out), args.layout, args.overwrite, args.outputs, args.affine, args.landmark_frame,
        args.batch_size, shard,
    )  # fmt: skip
    shard.join()
    try:
        with CohortProgress(len(shard.share(cases)), debug=args.debug, shard=shard) as progress:
            mine = cohort.run(progress.advance)
        outcomes = cohort.merge(mine)
    finally:
        shard.leave()
    # A launcher stops all processes when one of them fails: only the first one, which ends last, tells.
    return progress.summary(outcomes, args.out) if shard.is_first else 0


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
