"""Importing a package with all its modules, so that a new part is a new file and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Mapping
from types import ModuleType
from typing import Any, Protocol


class _Registry(Protocol):
    """As much of a registry as is needed here."""

    @property
    def module_dict(self) -> Mapping[str, Any]: ...


def import_submodules(package: str, path: Iterable[str], skip: Collection[str] = ()) -> list[ModuleType]:
    """Import every public module of ``package`` (its ``__name__`` and ``__path__``) but ``skip``, sorted by name."""
    names = sorted(name for _, name, _ in pkgutil.iter_modules(path) if not name.startswith('_') and name not in skip)
    return [importlib.import_module(f'{package}.{name}') for name in names]


def find_parts(package: str, path: Iterable[str], *registries: _Registry) -> dict[str, Any]:
    """Import every public module of ``package``; return what they have registered, by the name in the source.

    A package of parts puts the result into its own namespace, so that ``from mmreg.models.losses import LNCC`` works
    for every part without a list of them.

    Args:
        package: ``__name__`` of the package.
        path: Its ``__path__``.
        registries: Where its parts are registered. Parts from elsewhere are left out.
    """
    import_submodules(package, path)
    return {
        part.__name__: part
        for registry in registries
        for part in registry.module_dict.values()
        if part.__module__.startswith(f'{package}.')
    }
