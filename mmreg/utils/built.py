"""What went wrong while a part was made from a config: the config's fault, told by the part and its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any

#: Left behind by the engine in front of what a constructor said.
CLASS_PREFIX = re.compile(r'^(?:class `[^`]+` in [^\s:]+: )+')
_KINDS = (
    TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError, AssertionError, NotImplementedError,
    RuntimeError,
)  # fmt: skip
#: Methods of the engine's Runner that make something from the config.
_RUNNER = re.compile(r'from_cfg|__init__|_?build_\w+|register_\w+|setup_env|set_randomness|scale_lr')
_NO_TYPE = 'must contain the key "type"'
_OBJECT = re.compile(r'<[\w.]+ object at 0x[0-9a-f]+>|\(0x[0-9a-f]+\)')


def while_building(error: BaseException) -> str | None:
    """The sentence for an error that a value in a config is the cause of; None where nothing was being built."""
    if not isinstance(error, _KINDS):
        return None
    text = CLASS_PREFIX.sub('', ' '.join(str(error.args[0] if error.args else error).split())).rstrip('.')
    text = _OBJECT.sub('an object', text)
    reason = text if not isinstance(error, KeyError) or ' ' in text else f'there is no {text!r}'
    frames = list(_frames(error.__traceback__))
    parts = [frame for frame in frames if frame.f_code.co_name == 'build_from_cfg']
    if parts:
        config = parts[-1].f_locals.get('cfg')
        if _NO_TYPE in text:
            registry = getattr(parts[-1].f_locals.get('registry'), 'name', 'part')
            return f'the config has {_brief(config)} where a {registry} is expected, expected a dict with its type.'
        return f'the config has {_brief(config)}, which cannot be built: {reason or type(error).__name__}.'
    if any(_is_runner(frame) for frame in frames):
        return f'the config cannot be run: {reason or type(error).__name__}.'
    return None


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _is_runner(frame: FrameType) -> bool:
    module = str(frame.f_globals.get('__name__', ''))
    return module.startswith('mmengine.runner') and bool(_RUNNER.fullmatch(frame.f_code.co_name))


def _brief(config: Any) -> str:
    """``LNCC(window='x', weight=1.0)``; nested configs by their types alone."""
    if not isinstance(config, Mapping):
        return _cut(repr(config))
    named = ', '.join(f'{key}={_value(value)}' for key, value in config.items() if key != 'type')
    kind = config.get('type', 'dict')
    return _cut(f'{getattr(kind, "__name__", kind)}({named})', 160)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f'{value["type"]}(...)' if 'type' in value else '{...}' if value else '{}'
    plain = value is None or isinstance(value, str | int | float | bool | list | tuple)
    return _cut(repr(value), 40) if plain else '...'


def _cut(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 3] + '...'
