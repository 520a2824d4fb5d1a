"""Configs: read one, and merge the options of the command line into it without accepting a misspelt key."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmreg.errors import ConfigError, InputError

from . import data_config
from .config_keys import bases_that_are_moved, check_files, hint_of, refuse_variable
from .shipped import SCOPE, find_config

#: Keys that a Runner or our tools read although a config need not hold them.
RUNNER_KEYS = frozenset(
    {
        'activation_checkpointing',
        'affine',
        'auto_scale_lr',
        'compile',
        'custom_hooks',
        'custom_imports',
        'data_preprocessor',
        'data_root',
        'default_hooks',
        'default_scope',
        'efficient_conv_bn_eval',
        'env_cfg',
        'experiment_name',
        'find_unused_parameters',
        'first_stage',
        'inference',
        'launcher',
        'load_from',
        'log_level',
        'log_processor',
        'model',
        'model_wrapper_cfg',
        'optimisation',
        'optim_wrapper',
        'param_scheduler',
        'preset',
        'randomness',
        'resume',
        'runner_type',
        'spacing',
        'sync_bn',
        'test_cfg',
        'test_dataloader',
        'test_evaluator',
        'train_cfg',
        'train_dataloader',
        'val_cfg',
        'val_dataloader',
        'val_evaluator',
        'vis_backends',
        'visualizer',
        'work_dir',
    }
)


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
    if not _is_lazy(path):
        check_files(path, RUNNER_KEYS)
        _follow_data_root(cfg, path)
    return cfg


def _follow_data_root(cfg: Config, path: Path) -> None:
    """A file that only says ``data_root`` moves the data sets of its bases there, which hold copies of theirs."""
    before = [Config.fromfile(str(base), lazy_import=False).get('data_root') for base in bases_that_are_moved(path)]
    for old in before:
        if isinstance(old, str) and old != cfg.get('data_root'):
            _move_data_root(cfg._cfg_dict, old, cfg['data_root'])


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


def merge_options(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Merge ``--cfg-options`` into ``cfg``; a key that would have no effect is refused.

    Keys are dotted paths, list entries are numbers. A leading ``+`` adds a new key on purpose. New keys of a dict
    with a ``type`` are accepted: they are arguments, which the constructor checks.

    Raises:
        ConfigError: an unknown key (nearest known ones are named) or a path through a value that has no keys.
    """
    plain: dict[str, Any] = {}
    for key, value in (options or {}).items():
        if key.startswith('+'):
            key = key[1:]
        else:
            _check_path(cfg, key)
            refuse_variable(cfg._cfg_dict, key, RUNNER_KEYS)
        plain[key] = value
    old_root = cfg.get('data_root')
    for key, value in plain.items():
        _assign(cfg, key, value)
    if old_root is not None and 'data_root' in plain:
        _move_data_root(cfg._cfg_dict, old_root, plain['data_root'])


def _move_data_root(node: Any, old: str, new: str) -> None:
    """Every ``data_root`` that was the config's own becomes the new one, and so do paths below it (prompts, lists)."""
    children = node.items() if isinstance(node, MutableMapping) else enumerate(node)
    for key, child in list(children):
        if key == 'data_root' and child == old:
            node[key] = new
        elif isinstance(child, str) and child.startswith(f'{old.rstrip("/")}/'):
            node[key] = f'{new.rstrip("/")}/{child[len(old.rstrip("/")) + 1 :]}'
        elif isinstance(child, MutableMapping | list):
            _move_data_root(child, old, new)


def _check_path(cfg: Config, key: str) -> None:
    """Walk along ``key`` and refuse the first name that does not exist."""
    node: Any = cfg._cfg_dict
    names = key.split('.')
    for depth, name in enumerate(names):
        where = '.'.join(names[:depth])
        is_leaf = depth == len(names) - 1
        if isinstance(node, Mapping):
            if name in node:
                node = node[name]
                continue
            if is_leaf and 'type' in node:
                return
            if depth == 0 and name in RUNNER_KEYS:
                if is_leaf:
                    return
                node = ConfigDict(type='')  # sub-keys of a key that the config leaves to the engine
                continue
            known = set(node) | (RUNNER_KEYS if depth == 0 else set())
            raise ConfigError(_unknown_key(key, name, where, known))
        node = _list_entry(node, name, key, where)


def _list_entry(node: Any, name: str, key: str, where: str) -> Any:
    if not isinstance(node, Sequence) or isinstance(node, str):
        raise ConfigError(
            f'--cfg-options {key}: {where}={node!r} has no keys, so {name!r} cannot be set in it; '
            f'to replace it, set the whole of {where}.'
        )
    if not name.isdigit() or int(name) >= len(node):
        raise ConfigError(
            f'--cfg-options {key}: {where} is a list of {len(node)} entries, expected a number from 0 to '
            f'{len(node) - 1} instead of {name!r}.'
        )
    return node[int(name)]


def _unknown_key(key: str, name: str, where: str, known: Iterable[str]) -> str:
    known = sorted(str(k) for k in known)
    if hint_of(name):
        return f'--cfg-options {key}: there is no key {name!r} here; {hint_of(name)}.'
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        hint = f'did you mean {" or ".join(repr(c) for c in close)}?'
    else:
        hint = f'known are {", ".join(known[:12])}{", ..." if len(known) > 12 else ""};'
    place = f'{where} has' if where else 'the config has'
    return f'--cfg-options {key}: {place} no key {name!r}; {hint} Write +{key}=... to add it on purpose.'


def _assign(cfg: Config, key: str, value: Any) -> None:
    """Set one value; the engine's own merge fails on lists of plain numbers."""
    names = key.split('.')
    node: Any = cfg._cfg_dict
    for name in names[:-1]:
        if isinstance(node, MutableMapping):
            if not isinstance(node.get(name), Mapping | list | tuple):
                node[name] = ConfigDict()
            child = node[name]
            if isinstance(child, tuple):
                node[name] = child = list(child)
            node = child
        else:
            node = node[int(name)]
    if isinstance(node, MutableMapping):
        node[names[-1]] = value
    else:
        node[int(names[-1])] = value


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
