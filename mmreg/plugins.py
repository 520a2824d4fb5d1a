"""Registering parts: our own, those in a file, and those of installed packages.

A part from outside reaches the registries in three ways: ``custom_imports`` in a config, ``--plugin FILE`` on every
command, and the entry-point group ``mmreg.plugins`` of an installed package.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import ConfigError

ENTRY_POINT_GROUP = 'mmreg.plugins'
_ROOMS = ('models', 'datasets', 'evaluation', 'visualization', 'engine')
_loaded: set[str] = set()


def register_all_modules(plugins: Iterable[str | Path] = ()) -> None:
    """Fill the registries: our own parts, the installed plugins, then the files in ``plugins``. Safe to call again.

    Raises:
        ConfigError: a plugin cannot be imported; the sentence names it.
    """
    from mmengine.registry import init_default_scope

    importlib.import_module('mmreg.utils.compat')
    for room in _ROOMS:
        importlib.import_module(f'mmreg.{room}')
    init_default_scope('mmreg')
    load_entry_points()
    for plugin in plugins:
        load_plugin(plugin)


def load_entry_points() -> list[str]:
    """Import every plugin that installed packages announce; returns their names.

    An entry point may name a module, which registers on import, or a function without arguments, which is called.
    """
    names = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        names.append(point.name)
        if f'entry:{point.value}' in _loaded:
            continue
        try:
            found = point.load()
            if callable(found):
                found()
        except Exception as error:
            package = point.dist.name if point.dist else 'an unknown package'
            raise ConfigError(
                f'plugin {point.name!r} ({point.value}) of the installed package {package} cannot be loaded: '
                f'{type(error).__name__}: {_first_line(error)}; mend it or uninstall the package.'
            ) from error
        _loaded.add(f'entry:{point.value}')
    return names


def load_plugin(source: str | Path) -> None:
    """Import a plugin: a Python file, a folder with an ``__init__.py``, or an importable module.

    It is executed: load only what you trust.

    Raises:
        ConfigError: there is no such file or module, or importing it fails.
    """
    text = str(source)
    path = Path(text).expanduser()
    if path.suffix != '.py' and not path.exists():
        _import(text, f'plugin {text!r}')
        return
    folder = path if path.is_dir() else None
    path = path / '__init__.py' if folder else path
    if not path.is_file():
        raise ConfigError(
            f'--plugin {text}: there is no such file, expected a Python file, a folder with an __init__.py or a module '
            'name.'
        )
    path = Path(os.path.realpath(path))
    digest = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
    name = f'mmreg_plugin_{(path.parent if folder else path).stem}_{digest}'
    if name in sys.modules:
        return
    inside = [str(path.parent)] if folder else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise ConfigError(
            f'--plugin {text}: found the ending {path.suffix!r}, expected a Python file or a module name.'
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes of the plugin must be found again by loader workers
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f'--plugin {text} cannot be loaded: {type(error).__name__}: {_first_line(error)}.') from error


def _import(name: str, what: str) -> None:
    try:
        importlib.import_module(name)
    except Exception as error:
        raise ConfigError(f'{what} cannot be loaded: {type(error).__name__}: {_first_line(error)}.') from error


def _first_line(error: BaseException) -> str:
    text = str(error.args[0] if error.args else error).strip()
    return (text.splitlines()[0] if text else 'no message').rstrip('.')
