"""Configs: read one, and fit its loaders to the machine."""

from __future__ import annotations

import ast
from collections.abc import Callable, MutableMapping
from pathlib import Path

from mmengine.config import Config

from mmreg.errors import ConfigError, InputError

from . import data_config
from .config_keys import bases_that_are_moved, check_files
from .merge import RUNNER_KEYS, merge_options, move_data_root
from .shipped import SCOPE, find_config

__all__ = ['RUNNER_KEYS', 'fix_dataloaders', 'load_config', 'merge_options']


def load_config(path: str | Path) -> Config:
    """Read a config with its ``_base_`` files and import what ``custom_imports`` names.

    A ``.py`` config is Python and is executed: never read one that you do not trust. JSON and YAML are data and name
    registered parts only, see :mod:`mmreg.utils.data_config`.

    Args:
        path: A ``.py``, ``.yaml`` or ``.json`` file, in the text (``_base_``) or the lazy (``read_base()``) form; or
            the name of a config that comes with mmreg (:func:`mmreg.utils.shipped.find_config`).

    Raises:
        ConfigError: the file is missing, is no valid Python, or a base or an import of it fails.
    """
    path = find_config(path)
    if not path.is_file():
        raise ConfigError(f'{path}: there is no such config file.')
    if path.suffix not in ('.py', '.yaml', '.yml', '.json'):
        raise ConfigError(f'{path} is not a config: its name ends in {path.suffix!r}, expected .py, .yaml or .json.')
    if path.suffix in data_config.ENDINGS:
        return data_config.load_data_config(path)
    try:
        cfg = Config.fromfile(str(path), lazy_import=_is_lazy(path), format_python_code=False)
    except InputError:
        raise
    except SyntaxError as error:
        raise ConfigError(f'{error.filename or path}, line {error.lineno}: {error.msg}.') from error
    except Exception as error:
        reason = ' '.join(str(error.args[0] if error.args else error).split())
        raise ConfigError(
            f'{path} cannot be read as a config: {type(error).__name__}: {reason.rstrip(".")}.'
        ) from error
    # The engine has its text laid out whenever it is shown, which takes minutes where paths are long.
    object.__setattr__(cfg, '_format_python_code', False)
    check_files(path, RUNNER_KEYS)
    _follow_data_root(cfg, path)
    return cfg


def _follow_data_root(cfg: Config, path: Path) -> None:
    """A file that only says ``data_root`` moves the data sets of its bases there, which hold copies of theirs."""
    before = [
        Config.fromfile(str(base), lazy_import=_is_lazy(base)).get('data_root') for base in bases_that_are_moved(path)
    ]
    for old in before:
        if isinstance(old, str) and old != cfg.get('data_root'):
            move_data_root(cfg._cfg_dict, old, cfg['data_root'])


class _ShippedBases:
    """MMEngine finds ``_base_ = 'package::config.py'`` in packages that its own installer made; ours needs none."""

    def __init__(self, original: Callable[[str, str], tuple[str, str | None]]):
        self.original = original

    def __call__(self, base: str, filename: str) -> tuple[str, str | None]:
        if base.startswith(SCOPE):
            return str(find_config(base)), None
        return self.original(base, filename)


if not isinstance(Config._get_cfg_path, _ShippedBases):
    Config._get_cfg_path = staticmethod(_ShippedBases(Config._get_cfg_path))


def _is_lazy(path: Path) -> bool:
    """Whether the config uses ``with read_base():``; an import alone does not make a config lazy."""
    if path.suffix != '.py':
        return False
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'))
    except SyntaxError:
        return False  # the real reader says where
    return any(isinstance(node, ast.With) for node in ast.walk(tree))


def fix_dataloaders(cfg: Config, has_accelerator: bool) -> None:
    """Drop loader options that torch refuses or ignores with the number of workers and the device at hand.

    Workers also get a process group of their own, so that Ctrl-C reaches the trainer only (see ``GracefulStopHook``).
    """
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if not isinstance(loader, MutableMapping):
            continue
        if not loader.get('num_workers'):
            loader.pop('persistent_workers', None)
            loader.pop('prefetch_factor', None)
        else:
            loader.setdefault('worker_init_fn', dict(type='mmreg.own_group_worker'))
        if not has_accelerator:
            loader.pop('pin_memory', None)
