"""Importing a package with all its modules, so that a new part is a new file and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterable
from types import ModuleType


def import_submodules(package: str, path: Iterable[str], skip: Collection[str] = ()) -> list[ModuleType]:
    """Import every public module of ``package`` (its ``__name__`` and ``__path__``) but ``skip``, sorted by name."""
    names = sorted(name for _, name, _ in pkgutil.iter_modules(path) if not name.startswith('_') and name not in skip)
    return [importlib.import_module(f'{package}.{name}') for name in names]
