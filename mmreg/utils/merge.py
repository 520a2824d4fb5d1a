"""Options of the command line go into a config: a key that would have no effect is refused, a swapped part is whole."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict

from mmreg.errors import ConfigError

from .config_keys import hint_of, refuse_variable
from .text_files import within_limits

_DELETE = '_delete_'
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

#: Sections whose reader refuses keys that it does not know: any key may be set in them.
CHECKED_SECTIONS = frozenset({'affine', 'inference'})


def merge_options(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Merge ``--cfg-options`` into ``cfg``; a key that would have no effect is refused.

    Keys are dotted paths, list entries are numbers. A leading ``+`` adds a new key on purpose. New keys of a dict
    with a ``type`` are accepted: they are arguments, which the constructor checks.

    A value may be a config: one with another ``type`` than the part that stands there, or with ``_delete_=True``,
    takes its place whole; any other is merged into it. ``KEY._delete_=True`` empties what stands at ``KEY`` before the
    other options, or takes ``KEY`` away where there are none.

    Raises:
        ConfigError: an unknown key (nearest known ones are named) or a path through a value that has no keys.

    Example:
        >>> cfg = Config({'loss': {'type': 'LNCC', 'window': 9}})
        >>> merge_options(cfg, {'loss': {'type': 'MIND'}})
        >>> cfg.loss
        {'type': 'MIND'}
    """
    plain: dict[str, tuple[Any, bool]] = {}
    emptied: list[str] = []
    for key, value in (options or {}).items():
        name = key.removeprefix('+')
        if not name or '' in name.split('.'):
            raise ConfigError(f'--cfg-options {key}: expected names between the dots.')
        within_limits(value, f'--cfg-options {key}', ConfigError)
        if name.endswith(f'.{_DELETE}'):
            parent = name.removesuffix(f'.{_DELETE}')
            _check_path(cfg, parent)
            emptied += [parent] if value else []
            continue
        plain[name] = (value, not key.startswith('+'))
    old_root = cfg.get('data_root')
    refilled = {name for name in emptied if any(key.startswith(f'{name}.') for key in plain)}
    for name in refilled:
        _empty(cfg, name, True)
    for name, (value, checked) in plain.items():
        if checked:
            _check_path(cfg, name, any(name.startswith(f'{parent}.') for parent in emptied))
            refuse_variable(cfg._cfg_dict, name, RUNNER_KEYS)
        _assign(cfg, name, value, checked)
    # Last, and from the end of a list: the numbers of its entries are those that the user sees in the config.
    for name in sorted(set(emptied) - refilled, key=_position, reverse=True):
        _empty(cfg, name, False)
    if old_root is not None and isinstance(plain.get('data_root', (None,))[0], str):
        move_data_root(cfg._cfg_dict, old_root, plain['data_root'][0])


def _position(key: str) -> list[tuple[int, str]]:
    """Orders keys so that entries of one list stand by their number."""
    return [(int(name), '') if name.isdecimal() else (-1, name) for name in key.split('.')]


def _empty(cfg: Config, key: str, refilled: bool) -> None:
    """Take away what stands at ``key``; leave an empty dict where other options fill it again."""
    node, name = _parent(cfg, key)
    if refilled:
        node[name] = ConfigDict()
    elif isinstance(node, MutableMapping):
        node.pop(name, None)
    else:
        del node[name]


def move_data_root(node: Any, old: str, new: str) -> None:
    """Every ``data_root`` that was the config's own becomes the new one, and so do paths below it (prompts, lists)."""
    children = node.items() if isinstance(node, MutableMapping) else enumerate(node)
    for key, child in list(children):
        if key == 'data_root' and child == old:
            node[key] = new
        elif isinstance(child, str) and child.startswith(f'{old.rstrip("/")}/'):
            node[key] = f'{new.rstrip("/")}/{child[len(old.rstrip("/")) + 1 :]}'
        elif isinstance(child, MutableMapping | list):
            move_data_root(child, old, new)


def _check_path(cfg: Config, key: str, emptied: bool = False) -> None:
    """Walk along ``key`` and refuse the first name that does not exist; in what was ``emptied`` any name is new."""
    node: Any = cfg._cfg_dict
    names = key.split('.')
    for depth, name in enumerate(names):
        where = '.'.join(names[:depth])
        is_leaf = depth == len(names) - 1
        if isinstance(node, Mapping):
            if name in node:
                node = node[name]
                continue
            if emptied or (is_leaf and ('type' in node or where in CHECKED_SECTIONS)):
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
    if not name.isdecimal() or int(name) >= len(node):
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


def _parent(cfg: Config, key: str) -> tuple[Any, Any]:
    """What holds ``key``, made where it is missing, and the name or number of the key in it."""
    names = key.split('.')
    node: Any = cfg._cfg_dict
    for depth, name in enumerate(names[:-1]):
        if isinstance(node, MutableMapping):
            if not isinstance(node.get(name), Mapping | list | tuple):
                node[name] = ConfigDict()
            child = node[name]
            if isinstance(child, tuple):
                node[name] = child = list(child)
            node = child
        else:
            node = _list_entry(node, name, key, '.'.join(names[:depth]))
    if isinstance(node, MutableMapping):
        return node, names[-1]
    _list_entry(node, names[-1], key, '.'.join(names[:-1]))
    return node, int(names[-1])


def _assign(cfg: Config, key: str, value: Any, checked: bool) -> None:
    """Set one value; the engine's own merge fails on lists of plain numbers."""
    node, name = _parent(cfg, key)
    before = node.get(name) if isinstance(node, MutableMapping) else node[name]
    if isinstance(value, Mapping) and isinstance(before, Mapping) and not _replaces(value, before):
        for inner, item in value.items():
            if checked:
                _check_path(cfg, f'{key}.{inner}')
            _assign(cfg, f'{key}.{inner}', item, checked)
    else:
        node[name] = _without_delete(value)


def _replaces(value: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a config takes the place of the one before, instead of being merged into it."""
    return not value or bool(value.get(_DELETE)) or ('type' in value and value['type'] != before.get('type'))


def _without_delete(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ConfigDict({key: _without_delete(item) for key, item in value.items() if key != _DELETE})
    return type(value)(map(_without_delete, value)) if isinstance(value, list | tuple) else value
