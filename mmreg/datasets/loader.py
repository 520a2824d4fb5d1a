"""Decoding one image, with a fingerprint of what is done to it, by which a cache knows its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from mmreg.io.plain import plain


class Loader:
    """A source to its arrays, with a fingerprint of the transforms it went through.

    Args:
        function: Source dict to subject dict.
        transforms: The transforms ``function`` applies, of which the fingerprint is made.
    """

    def __init__(self, function: Callable[[dict[str, Any]], dict[str, Any]], transforms: Iterable[Any] = ()):
        self.function = function
        self.fingerprint = fingerprint(transforms)

    def __call__(self, source: dict[str, Any]) -> dict[str, Any]:
        return self.function(source)


def fingerprint(transforms: Iterable[Any]) -> str:
    """Hash of the classes and settings of ``transforms``."""
    described = [[f'{type(t).__module__}.{type(t).__qualname__}', plain(vars(t), _class)] for t in transforms]
    return blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=8).hexdigest()


def _class(value: Any) -> str:
    """The same in every process, unlike a text with an address."""
    return f'{type(value).__module__}.{type(value).__qualname__}'
