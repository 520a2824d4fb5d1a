"""Configs in JSON and YAML: data, never programs. They name registered parts only; what else they say is plain values.

Python configs are Python, by MMEngine's design, and are executed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry

from mmreg import registry
from mmreg.errors import ConfigError

from .admit import admit, is_module
from .config_keys import check_names
from .merge import RUNNER_KEYS, move_data_root
from .shipped import config_folder
from .text_files import read_json, read_yaml

ENDINGS = ('.json', '.yaml', '.yml')
_BASE = '_base_'
#: Names of modules, possibly; where they begin with one that can be imported, somebody may import them.
_PATH = re.compile(r'[^\W\d]\w*(\.[^\W\d]\w*)+')
_FILE_ENDINGS = (
    'json',
    'yaml',
    'yml',
    'csv',
    'txt',
    'npz',
    'npy',
    'pth',
    'pt',
    'pkl',
    'nii',
    'gz',
    'safetensors',
    'h5',
)
_DEEPEST = 20


def load_data_config(path: Path) -> Config:
    """Read a JSON or YAML config with its ``_base_`` files.

    A base is another JSON or YAML file, or a config that comes with mmreg: by its path, or ``mmreg::NAME.py``.

    Raises:
        ConfigError: not readable, a base that is a Python file of somebody's own, ``custom_imports``, an import path,
            or a part that is not registered or runs programs.
    """
    merged = _with_bases(path, 0)
    _check_engine_keys(merged, path)
    content = admit(merged, str(path), _registries(), words=True)
    return Config(content, filename=str(path), format_python_code=False)


def _registries() -> list[Registry]:
    """Every registry of mmreg."""
    return [value for value in vars(registry).values() if isinstance(value, Registry)]


def _with_bases(path: Path, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise ConfigError(f"{path}: found configs that are each other's {_BASE}, expected an end.")
    content = _read(path)
    bases = content.pop(_BASE, [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(f'{path}: {_BASE} is {bases!r}, expected a file or a list of files.')
    below: dict[str, Any] = {}
    files = [_base_file(base, path) for base in bases]
    for file in files:
        found = _base(file, depth)
        twice = sorted(below.keys() & found.keys())
        if twice:
            raise ConfigError(f'{path}: two files of {_BASE} have the key {twice[0]!r}, expected it in one.')
        below |= found
    _refuse_import_paths(content, str(path))
    check_names(content, path, files, RUNNER_KEYS)
    root = below.get('data_root')
    if isinstance(root, str) and isinstance(content.get('data_root'), str):
        move_data_root(below, root, content['data_root'])  # the data sets below hold copies of it
    try:
        return Config._merge_a_into_b(ConfigDict(content), ConfigDict(below)).to_dict()
    except TypeError as error:
        raise ConfigError(f'{path}: {" ".join(str(error).split())}') from error


def _read(path: Path) -> dict[str, Any]:
    read = read_json if path.suffix == '.json' else read_yaml
    content = read(path, 'a config', ConfigError)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f'{path}: found a {type(content).__name__}, expected a config with keys.')
    return content


def _base_file(base: str, path: Path) -> Path:
    """The file that ``_base_`` of the file ``path`` names."""
    shipped = config_folder().resolve()
    scope, _, name = base.rpartition('::')
    if scope not in ('', 'mmreg'):
        raise ConfigError(f'{path}: {_BASE} names {base!r}, expected mmreg::NAME.py, or a JSON or YAML file.')
    file = Path(os.path.realpath(shipped / name if scope else path.parent / base))
    if scope and file.suffix not in ENDINGS:
        file = file.with_suffix('.py')
    if file.suffix in ENDINGS:
        return file
    if not file.is_relative_to(shipped) or file.suffix != '.py':
        raise ConfigError(
            f'{path}: {_BASE} names {base!r}, expected JSON, YAML, or a config that comes with mmreg: '
            'a file of data does not have Python executed.'
        )
    if not file.is_file():
        raise ConfigError(f'{path}: {_BASE} names {base!r}, which does not exist.')
    return file


def _base(file: Path, depth: int) -> dict[str, Any]:
    if file.suffix in ENDINGS:
        return _with_bases(file, depth + 1)
    return Config.fromfile(str(file), format_python_code=False).to_dict()


def _check_engine_keys(content: Mapping[str, Any], path: Path) -> None:
    """Keys by which the engine imports something."""
    if content.get('custom_imports'):
        raise ConfigError(f'{path}: custom_imports runs code, which only a Python config may; use --plugin FILE.')
    if content.get('default_scope', 'mmreg') != 'mmreg':
        raise ConfigError(f'{path}: default_scope is {content["default_scope"]!r}, expected mmreg.')


def _refuse_import_paths(value: Any, where: str) -> None:
    """Refuse text that names something in a module: the engine follows it in more places than ``type``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key != 'type':  # checked by its registry
                _refuse_import_paths(item, f'{where}.{key}')
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _refuse_import_paths(item, f'{where}[{number}]')
    elif isinstance(value, str) and _is_import_path(value):
        raise ConfigError(f'{where} is {value!r}, an import path, which only a Python config may name.')


def _is_import_path(text: str) -> bool:
    """Whether ``text`` is dotted, begins with a module that is here, and does not end like a file of data."""
    first, last = text.partition('.')[0], text.rpartition('.')[2]
    return bool(_PATH.fullmatch(text)) and last not in _FILE_ENDINGS and is_module(first)
