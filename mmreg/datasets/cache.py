"""Decoded volumes kept in memory or on disk, by MONAI's cache data sets.

What is cached is a single image after the deterministic transforms, never a pair and never anything random, so that a
subject that takes part in many pairs is decoded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from mmreg.errors import ConfigError

from .loader import Loader

_FILES = ('image', 'labels', 'mask', 'prompt', 'landmarks')
#: Share of the free memory that a memory cache may fill when no limit is given.
_MEMORY_SHARE = 0.5


class Volumes(Protocol):
    """Decoded images by number."""

    def __getitem__(self, index: int) -> dict[str, Any]: ...


class DirectVolumes:
    """No cache: every access decodes."""

    def __init__(self, sources: Sequence[dict[str, Any]], load: Loader):
        self.sources = sources
        self.load = load

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.load(self.sources[index])


def build_volumes(sources: Sequence[dict[str, Any]], load: Loader, cache: str | dict[str, Any] | None) -> Volumes:
    """The volumes of ``sources``, cached as configured.

    Args:
        sources: Files of every image.
        load: Decodes one.
        cache: None, 'memory', 'disk', or a dict with ``type`` and, for memory: ``rate`` (share of the images, 1.0),
            ``limit_gb`` (half of the free memory), ``eager`` (fill before training with ``workers`` threads; the
            loader's processes then share it. Otherwise each process keeps what it has decoded); for disk:
            ``folder`` (default: the environment variable MMREG_CACHE, else ``.cache/mmreg``). What does not fit is
            decoded at every access.

    Raises:
        ConfigError: unknown type or option.
    """
    options = {'type': cache} if isinstance(cache, str) or cache is None else dict(cache)
    kind = options.pop('type', None)
    builders: dict[Any, Callable[..., Volumes]] = {None: DirectVolumes, 'memory': _in_memory, 'disk': _on_disk}
    if kind not in builders:
        raise ConfigError(f"cache={kind!r} of a dataset is unknown, expected None, 'memory' or 'disk'.")
    try:
        return builders[kind](sources, load, **options)
    except TypeError as error:
        raise ConfigError(f'cache={cache!r} of a dataset has an option that does not exist: {error}.') from error


def _in_memory(
    sources: Sequence[dict[str, Any]],
    load: Loader,
    rate: float = 1.0,
    limit_gb: float | None = None,
    eager: bool = False,
    workers: int = 2,
    progress: bool = True,
) -> Volumes:
    from ._monai import MemoryVolumes  # MONAI takes seconds to import

    if not sources:
        return DirectVolumes(sources, load)
    limit = _MEMORY_SHARE * free_memory() if limit_gb is None else limit_gb * 2**30
    first = load(sources[0])  # tells how many fit
    count = int(limit // max(1, nbytes(first)))
    volumes = MemoryVolumes(sources, load, count=count, rate=rate, eager=eager, workers=workers, progress=progress)
    volumes.give_first(first)
    return volumes


def _on_disk(sources: Sequence[dict[str, Any]], load: Loader, folder: str | None = None) -> Volumes:
    from ._monai import DiskVolumes

    folder = folder or os.environ.get('MMREG_CACHE') or str(Path('.cache') / 'mmreg')
    return DiskVolumes([stamped(source) for source in sources], load, Path(folder))


def stamped(source: dict[str, Any]) -> dict[str, Any]:
    """``source`` with size and time of change of its files, so that a changed file is decoded anew."""
    stamps = {}
    for key in _FILES:
        if source.get(key) and os.path.exists(source[key]):
            stat = os.stat(source[key])
            stamps[key] = [stat.st_size, stat.st_mtime_ns]
    return {**deepcopy(source), 'stamps': stamps}


def free_memory() -> int:
    """Bytes of memory that can be used without swapping."""
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            fields = dict(line.split(':', 1) for line in file)
        return int(fields['MemAvailable'].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2


def nbytes(subject: dict[str, Any]) -> int:
    """Memory of the arrays of one decoded image."""
    return sum(value.nbytes for value in subject.values() if isinstance(value, (np.ndarray, torch.Tensor)))
