"""The border for configs that a file brings along: a checkpoint's meta, a plan, JSON and YAML.

MMEngine's ``build`` resolves any dotted ``type`` by importing it and calling what it finds, so a config from a file is
a program. Here it is data: it may name registered parts of an allowed kind, by exact name, with arguments that the part
has and that are plain values. Everything else is refused before anything is imported or called.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmengine.registry import MODELS, Registry

from mmreg.errors import CheckpointError, ConfigError, InputError

from .text_files import within_limits

#: A key that MMEngine's registries act upon besides ``type``: they import what it names.
_SCOPE = '_scope_'


def admit(
    value: Any,
    where: str,
    registries: Sequence[Registry],
    error: type[InputError] = ConfigError,
    of: type | None = None,
    words: bool = False,
) -> Any:
    """A copy of ``value`` that may be built: plain values, and configs of registered parts only.

    Args:
        value: What the file holds; every dict with a ``type`` in it, at any depth, is checked.
        where: File and key, for errors.
        registries: Kinds of parts that may be named; their parents and children are looked at too.
        error: What is raised.
        of: Base class that the outermost parts must have.
        words: A ``type`` may also be a plain word that is no part's name and no module's (``cache=dict(type='disk')``),
            and arguments are left to the constructors.

    Raises:
        ConfigError: (or ``error``) a dotted or unknown name, a part that runs programs, an argument that the part does
            not have, or a value that is not plain.
    """
    within_limits(value, where, error)
    known = _known(registries)
    names = list(dict.fromkeys(registry.name for registry in registries))
    kind = ' or '.join(names) if len(names) < 4 else 'part'

    def look(name: Any, place: str) -> Any:
        if words and isinstance(name, str) and name not in known and name.isidentifier() and not is_module(name):
            return None
        part = _part(name, place, known, kind, error)
        return None if words else part

    result = _copied(value, where, look, error)
    if of is not None:
        for config in result if isinstance(result, list | tuple) else [result]:
            found = known.get(str(config.get('type')).removeprefix('mmreg.')) if isinstance(config, Mapping) else None
            if not (isinstance(found, type) and issubclass(found, of)):
                named = config.get('type') if isinstance(config, Mapping) else config
                raise error(f'{where}: found {named!r}, expected the config of a registered {of.__name__}.')
    return result


def admitted_names(registries: Iterable[Registry]) -> set[str]:
    """Names that a file may use: registered exactly so, and of no part that runs programs."""
    return {name for name, part in _known(registries).items() if not runs_programs(part)}


def runs_programs(part: Any) -> bool:
    """Whether a part executes what its arguments say (attribute ``runs_programs``): only Python may name it."""
    return bool(getattr(part, 'runs_programs', False))


def plain_values(value: Any, where: str, error: type[InputError] = CheckpointError) -> Any:
    """``value`` as dicts, lists, text and numbers; configs inside it are not meant to be built and stay unchecked.

    Raises:
        CheckpointError: (or ``error``) something else in it, or nested too deeply.
    """
    return _copied(within_limits(value, where, error), where, lambda name, place: None, error)


def _copied(value: Any, where: str, look: Callable[[Any, str], Any], error: type[InputError]) -> Any:
    if isinstance(value, Mapping):
        part = look(value['type'], where) if 'type' in value else None
        result = {}
        for key, item in value.items():
            if not isinstance(key, str | int) or key == _SCOPE:
                raise error(f'{where}: found the key {key!r}, expected the name of an argument.')
            result[key] = _copied(item, f'{where}.{key}', look, error)
        if part is not None:
            _check_arguments(part, result, where, error)
        return result
    if isinstance(value, list | tuple):
        items = [_copied(item, f'{where}[{number}]', look, error) for number, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise error(f'{where}: found a {type(value).__name__}, expected plain text, numbers, lists and keys.')


def _part(name: Any, where: str, known: Mapping[str, Any], kind: str, error: type[InputError]) -> Any:
    short = name.removeprefix('mmreg.') if isinstance(name, str) else name
    if not isinstance(short, str) or short not in known:
        reason = ' (an import path is never followed from a file)' if '.' in str(name) else ''
        raise error(f'{where} names type={_short(name)}{reason}, expected a registered {kind} by its exact name.')
    if runs_programs(known[short]):
        raise error(
            f'{where} names type={name!r}, which runs programs: only a Python config may, a file of data may not.'
        )
    return known[short]


def _check_arguments(part: Any, config: Mapping[Any, Any], where: str, error: type[InputError]) -> None:
    accepted = _parameters(part)
    strange = [key for key in config if key != 'type' and accepted and key not in accepted]
    if strange:
        raise error(
            f'{where}: {config["type"]} has no argument {_short(strange[0])}, expected some of {_list(accepted)}.'
        )


def _parameters(part: Any) -> set[str]:
    """Names of the arguments of a part; empty where it takes any."""
    try:
        parameters = inspect.signature(part).parameters.values()
    except (TypeError, ValueError):
        return set()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return set()
    return {one.name for one in parameters}


def _known(registries: Iterable[Registry]) -> dict[str, Any]:
    """Name -> part of the registries, their children and their parents; the nearest one wins."""
    known: dict[str, Any] = {}
    for registry in registries:
        registry.import_from_location()
        line: list[Registry] = [registry]
        while line[-1].parent is not None:
            line.append(line[-1].parent)
        if line[-1] is MODELS:  # the layers that a config of a network names; else imported where one is built
            importlib.import_module('mmcv.cnn')
        for one in [*registry.children.values(), *line]:
            one.import_from_location()
            for name, part in one.module_dict.items():
                known.setdefault(name, part)
    return {name: part for name, part in known.items() if '.' not in name}


def is_module(name: str) -> bool:
    """Whether importing ``name`` would run something."""
    try:
        found = importlib.util.find_spec(name)
    except (ValueError, ImportError):
        return True
    return found is not None and found.origin is not None  # a bare folder has none


def largest_number(value: Any) -> float:
    """The largest absolute number in plain values, infinity where one is not finite: how much a config asks for."""
    if isinstance(value, Mapping):
        return max(map(largest_number, value.values()), default=0.0)
    if isinstance(value, list | tuple):
        return max(map(largest_number, value), default=0.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return abs(float(value)) if math.isfinite(value) else math.inf


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'


def _list(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ', '.join(shown[:12]) + (', ...' if len(shown) > 12 else '')
