"""A segmenter that is a Python function."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io import Volume
from mmreg.registry import SEGMENTERS

from .base import Segmenter


@SEGMENTERS.register_module()
class CallableSegmenter(Segmenter):
    """``function(array, spacing) -> classes``: float32 ``(*spatial[, C])`` and mm in, integers ``(*spatial)`` out.

    Args:
        function: The function, or ``'package.module:name'``.
        options: Keyword arguments of every call.
        kwargs: See :class:`Segmenter`.

    Raises:
        ConfigError: there is no such function.
    """

    #: A file of data may not name it.
    runs_programs = True

    def __init__(self, function: str | Callable[..., np.ndarray], options: dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.function = _imported(function) if isinstance(function, str) else function
        self.name = function if isinstance(function, str) else getattr(function, '__qualname__', repr(function))
        self.options = dict(options or {})

    def segment(self, image: Volume, path: str, name: str) -> Volume:
        """Call the function with the array and its voxel size."""
        classes = np.asarray(self.function(image.array, image.geometry.spacing, **self.options))
        if classes.shape != image.geometry.shape:
            raise DataError(
                f'{path or "the image"}: {self.name} gave the shape {classes.shape}, expected {image.geometry.shape}.'
            )
        return Volume(classes, image.geometry)


def _imported(name: str) -> Callable[..., np.ndarray]:
    module, _, function = name.partition(':')
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"function={name!r} cannot be imported ({error}), expected 'package.module:name'.") from error
