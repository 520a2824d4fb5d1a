"""Settings of a run that the engine would only trip over later, or in silence: looked at before anything is built."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from multiprocessing import get_all_start_methods
from typing import Any

from mmengine.config import Config

from mmreg.errors import ConfigError, listed


def _positive(value: Any) -> bool:
    return type(value) is int and 0 < value < 1 << 62


def _interval(value: Any) -> bool:
    return type(value) is int and (value > 0 or value == -1)


def _seed(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < 1 << 32)


def _keys(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)


def _parts(value: Any) -> bool:
    """None, one config, or a list of them."""
    return _keys(value) or (isinstance(value, list | tuple) and all(isinstance(one, Mapping) for one in value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _starts(value: Any) -> bool:
    return value is None or value in get_all_start_methods()


_COUNT = ('a whole number above 0', _positive)
_DICT = ('keys and values', _keys)
_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'NOTSET', 'WARN', 'FATAL')
#: Key -> what it must be, in words, and whether it is.
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(('train_cfg.max_epochs', 'train_cfg.max_iters', 'train_cfg.val_interval'), _COUNT),
    'train_cfg.val_begin': _COUNT,
    'randomness.seed': ('a whole number from 0 to 2**32 - 1', _seed),
    'env_cfg.mp_cfg.mp_start_method': (f'one of {", ".join(get_all_start_methods())}', _starts),
    'log_level': (f'one of {", ".join(_LEVELS[:4])}', lambda value: value in _LEVELS),
    'optim_wrapper.optimizer.lr': ('a number from 0 on', _number),
    **dict.fromkeys(
        ('custom_hooks', 'param_scheduler', 'val_evaluator', 'test_evaluator'), ('a list of dicts', _parts)
    ),
    **dict.fromkeys(
        ('model', 'model.losses', 'train_cfg', 'val_cfg', 'test_cfg', 'randomness', 'optim_wrapper'), _DICT
    ),
    **dict.fromkeys(('default_hooks', 'env_cfg', 'visualizer', 'model.pyramid'), _DICT),
}
#: The same of each loader.
_LOADER: dict[str, tuple[str, Callable[[Any], bool]]] = {
    'dataset': _DICT,
    'sampler': _DICT,
    'batch_size': _COUNT,
    'num_workers': ('a whole number from 0 on', lambda value: type(value) is int and value >= 0),
}
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
#: Hooks that the engine adds by itself.
ENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
#: Keys of which the engine passes over any that it does not know.
_KNOWN: dict[str, tuple[str, ...]] = {
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'env_cfg.mp_cfg': ('mp_start_method', 'opencv_num_threads'),
    'randomness': ('seed', 'diff_rank_seed', 'deterministic'),
    'auto_scale_lr': ('base_batch_size', 'enable'),
    'optim_wrapper.paramwise_cfg': (
        *('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult', 'dwconv_decay_mult'),
        *('dcn_offset_lr_mult', 'bypass_duplicate'),
    ),
    'optim_wrapper.paramwise_cfg.custom_keys.*': ('lr_mult', 'decay_mult'),
}


def check_run(cfg: Config | Mapping[str, Any]) -> None:
    """Refuse settings of a run that are of the wrong kind.

    Raises:
        ConfigError: names all of them, what was found and what was expected.
    """
    problems = []
    content = cfg._cfg_dict if isinstance(cfg, Config) else cfg
    rules = {**_RULES, **dict.fromkeys(_LOADERS, _DICT)}
    rules |= {f'{loader}.{key}': rule for loader in _LOADERS for key, rule in _LOADER.items()}
    for key, (words, fits) in rules.items():
        found = _look_up(content, key)
        if found is not _MISSING and not fits(found):
            problems.append(f'{key} is {str(found)[:60]!r}, expected {words}')
    for place, hook in _hooks(content):
        if 'type' not in hook:
            close = difflib.get_close_matches(place.rpartition('.')[2], ENGINE_HOOKS, n=1)
            problems.append(
                f'{place} has no type, expected that of a hook{f", or the name {close[0]}" if close else ""}'
            )
        interval = hook.get('interval', 1)
        if not _interval(interval):
            problems.append(f'{place}.interval is {str(interval)[:60]!r}, expected a whole number above 0, or -1')
    problems += [*_incomplete(content), *_unknown(content)]
    if problems:
        raise ConfigError(f'{listed(problems, "; ")}.')


_MISSING = object()


def _look_up(cfg: Mapping[str, Any], key: str) -> Any:
    node: Any = cfg
    for name in key.split('.'):
        if not isinstance(node, Mapping) or name not in node:
            return _MISSING
        node = node[name]
    return node


def _hooks(cfg: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    named, listed = cfg.get('default_hooks'), cfg.get('custom_hooks')
    for name, hook in named.items() if isinstance(named, Mapping) else ():
        if isinstance(hook, Mapping):
            yield f'default_hooks.{name}', hook
    for number, hook in enumerate(listed if isinstance(listed, list | tuple) else ()):
        if isinstance(hook, Mapping):
            yield f'custom_hooks.{number}', hook


def check_weights_named(cfg: Config, names: Collection[str]) -> None:
    """Refuse settings of single weights (``paramwise_cfg.custom_keys``) that are those of none.

    Raises:
        ConfigError: a key is in the name of no weight.
    """
    wrapper = cfg.get('optim_wrapper')
    keys = _look_up({'optim_wrapper': wrapper}, 'optim_wrapper.paramwise_cfg.custom_keys')
    if not isinstance(wrapper, Mapping) or wrapper.get('constructor') or not isinstance(keys, Mapping):
        return
    for key in keys:
        if not any(str(key) in name for name in names):
            raise ConfigError(
                f'optim_wrapper.paramwise_cfg.custom_keys has {key!r}, which is in the name of no weight, expected a '
                f'part of a name such as {next(iter(names), "")}.'
            )


def _unknown(cfg: Mapping[str, Any]) -> Iterator[str]:
    """Keys that the engine would pass over in silence."""
    wrapper = cfg.get('optim_wrapper')
    own = isinstance(wrapper, Mapping) and wrapper.get('constructor')  # reads keys of its own
    for key, known in _KNOWN.items():
        node = None if own and 'paramwise_cfg' in key else _look_up(cfg, key.removesuffix('.*'))
        if not isinstance(node, Mapping):
            continue
        places = {key.replace('*', str(name)): inner for name, inner in node.items()} if '*' in key else {key: node}
        for place, keys in places.items():
            for name in sorted(set(keys) - set(known)) if isinstance(keys, Mapping) else ():
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f'did you mean {close[0]}?' if close else f'expected some of {", ".join(known)}'
                yield f'{place}.{name} has no effect, {hint}'


def _incomplete(cfg: Mapping[str, Any]) -> list[str]:
    """Validation needs its three keys or none of them, an optimiser its name, a loader its data set."""
    problems = []
    keys = ('val_dataloader', 'val_cfg', 'val_evaluator')
    missing = [key for key in keys if cfg.get(key) is None]
    if 'train_dataloader' in cfg and len(missing) not in (0, 3):
        problems.append(
            f'{", ".join(missing)} is missing beside {", ".join(key for key in keys if key not in missing)}'
        )
    wrapper = cfg.get('optim_wrapper')
    if isinstance(wrapper, Mapping) and not any(
        isinstance(wrapper.get(key), Mapping) for key in ('optimizer', *wrapper)
    ):
        problems.append('optim_wrapper has no optimizer, expected one with its type')
    for name in _LOADERS:
        loader = cfg.get(name)
        if isinstance(loader, Mapping) and loader.get('dataset') is None:
            problems.append(f'{name} has no dataset, expected one with its type')
    return problems
