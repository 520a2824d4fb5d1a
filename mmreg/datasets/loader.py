"""Decoding one image, with a fingerprint of what is done to it, by which a cache knows its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

import numpy as np


class Loader:
    """A source to its arrays, with a fingerprint of the transforms it went through.

    Args:
        function: Source dict to subject dict.
        transforms: The transforms ``function`` applies, of which the fingerprint is made.
    """

    def __init__(self, function: Callable[[dict], dict], transforms: Iterable[Any] = ()):
        self.function = function
        self.fingerprint = fingerprint(transforms)

    def __call__(self, source: dict) -> dict:
        return self.function(source)


def fingerprint(transforms: Iterable[Any]) -> str:
    """Hash of the classes and settings of ``transforms``."""
    described = [[f'{type(t).__module__}.{type(t).__qualname__}', _plain(vars(t))] for t in transforms]
    return blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    """A description of ``value`` that JSON can hold and that is the same in every process."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in sorted(value.items(), key=lambda kv: str(kv[0]))}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, np.ndarray):
        return value.tolist()
    return f'{type(value).__module__}.{type(value).__qualname__}'
