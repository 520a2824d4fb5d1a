"""What a run looks at before it begins: the data are there, the screen stays free, a failed start leaves nothing."""

from __future__ import annotations

import copy
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmreg.errors import InputError
from mmreg.registry import DATASETS
from mmreg.utils import console

#: Names the folder of all data.
VARIABLE = 'MMREG_DATA'


def look_at_data(cfg: Config, stages: Sequence[str]) -> None:
    """Build the data sets of ``stages`` (``'train'``, ``'val'``, ``'test'``) once, before anything slow or written.

    Raises:
        InputError: of the data set, with where it was looked for and where to read on.
    """
    for stage in stages:
        loader = cfg.get(f'{stage}_dataloader')
        dataset = loader.get('dataset') if isinstance(loader, Mapping) else None
        if not isinstance(dataset, Mapping):
            continue
        try:
            DATASETS.build(copy.deepcopy(dataset))
        except InputError as error:
            raise type(error)(f'{str(error).rstrip(".")}; {_hints(dataset)}') from error


def _hints(dataset: Mapping[str, Any]) -> str:
    """Where the data were looked for, and what to read or try."""
    root = dataset.get('data_root')
    named = os.environ.get(VARIABLE)
    folder = f'the folder of all data is {named!r} ({VARIABLE})' if named else f'{VARIABLE} is not set'
    looked = f'data_root is {str(root)!r}, ' if root else ''
    return (
        f'{looked}{folder}; docs/datasets.md says where each data set comes from and how its folder looks, `mmreg data '
        'check NAME ROOT` verifies one, and `mmreg demo` runs without any data'
    )


@contextmanager
def wall_to_file() -> Iterator[None]:
    """While a Runner is built, what it says of environment, config and hooks goes to its log file alone."""
    original = MMLogger.__init__
    held: list[tuple[logging.Handler, int]] = []

    def calm(self: MMLogger, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        for handler in self.handlers:
            if type(handler) is logging.StreamHandler:
                held.append((handler, handler.level))
                handler.setLevel(max(handler.level, logging.WARNING))

    MMLogger.__init__ = calm
    try:
        yield
    finally:
        MMLogger.__init__ = original
        for handler, level in held:
            handler.setLevel(level)


@contextmanager
def leaving_nothing(work_dir: str | Path) -> Iterator[None]:
    """Remove a work dir that a run made and then refused to use: a user's mistake before the first checkpoint."""
    place = Path(work_dir)
    made = [path for path in (place, *place.parents) if not path.exists()]
    try:
        yield
    except Exception as error:
        mistake = console.sentence(error) is not None
        if mistake and place in made and not any(place.rglob('*.pth')):
            shutil.rmtree(place, ignore_errors=True)
            for parent in made[1:]:
                if parent.is_dir() and not any(parent.iterdir()):
                    parent.rmdir()
        raise
