"""MONAI's cache data sets behind our two-line interface. Imported only where a cache is used."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from monai.data import CacheDataset, PersistentDataset
from monai.data.utils import pickle_hashing
from monai.transforms import Compose, Transform
from monai.utils import convert_to_tensor

from mmreg.io import atomic_path

from .loader import Loader


class _Load(Transform):
    """Our loader as a deterministic MONAI transform."""

    def __init__(self, load: Loader):
        self.load = load

    def __call__(self, source: dict[str, Any]) -> dict[str, Any]:
        return self.load(source)


class MemoryVolumes(CacheDataset):
    """The first ``count`` images in memory, the others decoded at every access.

    Args:
        sources: Files of every image.
        load: Decodes one.
        count: Number of images that fit.
        rate: Share of the images to keep.
        eager: Fill now, with ``workers`` threads; otherwise at first access.
        workers: Threads that fill.
        progress: Show a bar while filling.
    """

    def __init__(
        self,
        sources: Sequence[dict[str, Any]],
        load: Loader,
        count: int,
        rate: float,
        eager: bool,
        workers: int,
        progress: bool,
    ):
        super().__init__(
            list(sources),
            Compose([_Load(load)]),
            cache_num=count,
            cache_rate=rate,
            num_workers=workers,
            progress=progress,
            as_contiguous=False,
            runtime_cache=False if eager else 'threads',
        )

    def give_first(self, subject: dict[str, Any]) -> None:
        """Put image 0, decoded already, into an empty cache."""
        if self.cache_num and self._cache[0] is None:
            self._cache[0] = subject

    def __getitem__(self, index: Any) -> dict[str, Any]:
        # A copy: a transform that writes into its array must not write into the cache.
        subject = self._transform(index)
        return deepcopy(subject) if index < self.cache_num else subject


class DiskVolumes(PersistentDataset):
    """Decoded images as one file each below ``folder``, named after the source's files, their dates and the transforms.

    Args:
        sources: Files of every image with their stamps.
        load: Decodes one.
        folder: Where the files go; made when missing.
    """

    def __init__(self, sources: Sequence[dict[str, Any]], load: Loader, folder: Path):
        super().__init__(list(sources), Compose([_Load(load)]), cache_dir=folder, hash_func=pickle_hashing)
        self.transform_hash = load.fingerprint

    def __getitem__(self, index: Any) -> dict[str, Any]:
        return {key: _as_array(value) for key, value in self._transform(index).items()}

    def _cachecheck(self, item_transformed: Any) -> Any:
        """MONAI's look-up, with a file that appears complete or not at all, and replaced where it is damaged."""
        assert self.cache_dir is not None
        file = self.cache_dir / f'{self.hash_func(item_transformed).decode()}{self.transform_hash}.pt'
        if file.is_file():
            try:
                return torch.load(file, weights_only=True)
            except (RuntimeError, EOFError, UnpicklingError):
                pass  # damaged by something else than us: decoded and written again
        subject = self._pre_transform(deepcopy(item_transformed))
        with atomic_path(file) as temporary:
            torch.save(convert_to_tensor(subject, convert_numeric=False, track_meta=False), temporary)
        return subject


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value
