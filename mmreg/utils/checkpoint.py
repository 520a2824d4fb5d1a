"""Reading checkpoints: nothing in the file is ever executed, and whatever is wrong with it is one sentence."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from torch import Tensor, nn

from mmreg.errors import CheckpointError, InputError, listed

from .file_kinds import kind_of_file, kind_of_folder
from .text_files import regular_file, within_limits

try:
    from numpy._core.multiarray import _reconstruct, scalar
except ImportError:  # numpy 1
    from numpy.core.multiarray import _reconstruct, scalar  # type: ignore[no-redef]


def _history_method(owner: object, name: str) -> Any:
    """Stands in for ``getattr`` while unpickling: only the statistics of a :class:`HistoryBuffer` can be asked for."""
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'Unsupported global: GLOBAL builtins.getattr({owner!r}, {name!r})')


_DTYPES = {type(np.dtype(code)) for code in ('f8', 'f4', 'f2', 'i8', 'i4', 'i2', 'u1', 'u4', 'u8', '?')}
#: What a training checkpoint of the engine holds besides tensors and plain values: logged histories and numpy arrays.
_ALLOWED: list[Any] = [
    HistoryBuffer,
    (_history_method, 'builtins.getattr'),
    _reconstruct,
    scalar,
    np.ndarray,
    np.dtype,
    (_reconstruct, 'numpy.core.multiarray._reconstruct'),
    (scalar, 'numpy.core.multiarray.scalar'),
    *_DTYPES,
]


#: What :func:`read_checkpoint` and others put beside bare weights.
_BESIDE = ('meta', 'message_hub')
#: How much larger than its file the content of a checkpoint may be.
_LARGEST_RATIO = 10
#: The engine's record of a run.
MESSAGES = ('log_scalars', 'runtime_info', 'resumed_keys')
#: Names that the engine gives to checkpoints.
_OWN_NAME = re.compile(r'(best_|epoch_|iter_|interrupt_iter_)[^/\\\\]*\.pth')


def read_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """The content of a checkpoint: a training checkpoint, bare weights, or safetensors.

    Args:
        path: File written by a training run, by ``torch.save`` or by safetensors.
        map_location: As in :func:`torch.load`.

    Raises:
        CheckpointError: the file is missing, damaged, no checkpoint, or holds Python objects.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise CheckpointError(f'{path}: there is no such checkpoint file.')
    if path.is_dir() and (folder := kind_of_folder(path)) is not None:
        raise CheckpointError(f'{path} is {folder}.')
    regular_file(path, 'a checkpoint', CheckpointError)
    if path.suffix == '.safetensors':
        return _read_safetensors(path, map_location)
    _refuse_bomb(path)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # remarks about pickle protocols: the error below says it better
        try:
            with torch.serialization.safe_globals(_ALLOWED):
                content = torch.load(path, map_location=map_location, weights_only=True)
        except Exception as error:
            raise CheckpointError(_reason(path, error)) from error
    if not isinstance(content, Mapping) or not any(_tensors(content)):
        raise CheckpointError(f'{path} is not a checkpoint: it holds a {type(content).__name__} without any weights.')
    return {**content, **_checked(content, path)}


def _checked(content: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """What a checkpoint says besides its weights, as far as it is what it should be.

    The text of a config that it may carry under ``config`` is left out: the engine would run it when it resumes.
    """
    result: dict[str, Any] = {}
    if 'meta' in content:
        meta = content['meta'] if content['meta'] is not None else {}
        if not isinstance(meta, Mapping):
            raise CheckpointError(f'{path}: meta is a {type(meta).__name__}, expected keys and values.')
        within_limits(meta, f'{path}: meta', CheckpointError)
        result['meta'] = {key: value for key, value in meta.items() if key != 'config'}
    if 'message_hub' in content:
        result['message_hub'] = _checked_messages(content['message_hub'], path)
    return result


def _checked_messages(messages: Any, path: Path) -> dict[str, Any]:
    """The engine's record of a run; names of files in it are those of checkpoints, since the engine deletes them."""
    if not isinstance(messages, Mapping) or not all(isinstance(messages.get(part, {}), Mapping) for part in MESSAGES):
        raise CheckpointError(f'{path}: message_hub is damaged, expected {", ".join(MESSAGES)}.')
    info = dict(messages.get('runtime_info', {}))
    for key in [key for key in info if str(key).startswith(('best_ckpt', 'last_ckpt', 'keep_ckpt_ids'))]:
        value = info[key]
        if key == 'keep_ckpt_ids':
            fits = isinstance(value, list) and all(type(number) is int for number in value)
        else:
            fits = value is None or (isinstance(value, str) and bool(_OWN_NAME.fullmatch(Path(value).name)))
        if not fits:
            del info[key]
    return {**messages, 'runtime_info': info} if info or 'runtime_info' in messages else dict(messages)


def _refuse_bomb(path: Path) -> None:
    """Refuse an archive whose content is far larger than its file: torch stores weights as they are."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # torch's own reader says what is wrong with it
    if size > _LARGEST_RATIO * path.stat().st_size + (1 << 20):
        raise CheckpointError(
            f'{path} unpacks to {size >> 20} MiB from a file of {path.stat().st_size >> 10} KiB, expected weights as '
            'torch.save stores them.'
        )


def _read_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(f'{path} needs the package safetensors: pip install "mmreg[safetensors]".') from error
    try:
        return {'state_dict': load_file(str(path), device=str(map_location or 'cpu')), 'meta': {}}
    except Exception as error:
        raise CheckpointError(f'{path} is damaged or not a safetensors file ({error}).') from error


def _reason(path: Path, error: Exception) -> str:
    """One sentence for what :func:`torch.load` said about ``path``."""
    kind = kind_of_file(path)
    if kind is not None:
        return f'{path} is {kind}; expected a checkpoint as torch.save writes them.'
    text = str(error)
    found = re.search(r'Unsupported (?:global|class|operand)[^.]*?GLOBAL (\S+)', text) or re.search(
        r'Trying to (?:load unsupported GLOBAL|instantiate unsupported class|call reduce for unrecognized function) '
        r'(\S+)',
        text,
    )
    if found:
        return (
            f'{path} holds the Python object {found.group(1).rstrip(".")!r}, expected only weights and plain values: '
            f'it is not loaded, because unpickling it could run code.'
        )
    if path.stat().st_size == 0:
        return f'{path} is empty, expected a checkpoint.'
    with open(path, 'rb') as file:
        head = file.read(4)
    if head.startswith(b'PK'):
        return f'{path} is a truncated or damaged checkpoint ({_first_line(text)}).'
    if head.startswith(b'\x80'):
        return f'{path} is a damaged checkpoint or a plain pickle, expected a file written by torch.save.'
    return f'{path} is not a checkpoint: it starts with {head!r}, expected a file written by torch.save.'


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:120].rstrip('.') if text.strip() else 'no details'


def _tensors(content: Mapping[str, Any], depth: int = 3) -> Any:
    """Whether values of ``content`` or of dictionaries inside it are tensors, one flag each."""
    for value in content.values():
        if isinstance(value, Tensor):
            yield True
        elif isinstance(value, Mapping) and depth:
            yield from _tensors(value, depth - 1)


def is_readable(path: str | Path) -> bool:
    """Whether ``path`` is a whole checkpoint archive; the weights are not read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith('data.pkl') for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict in ``checkpoint`` (or the checkpoint itself), without the prefix of parallel wrappers.

    Raises:
        CheckpointError: an entry is no tensor.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        raise CheckpointError(f'state_dict of the checkpoint is a {type(state).__name__}, expected names and tensors.')
    bare = state is checkpoint
    entries = {key: value for key, value in state.items() if not (bare and key in _BESIDE)}
    for key, value in entries.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f'the entry {str(key)[:80]!r} of the checkpoint is a {type(value).__name__}, expected a tensor.'
            )
    return {key.removeprefix('module.'): value for key, value in entries.items()}


def check_architecture(model: nn.Module, weights: Mapping[str, Any], source: str | Path) -> None:
    """Refuse ``weights`` that were made for another architecture than ``model``.

    A module with a method ``adapt_weights(weights, prefix, source)`` may rearrange its own entries first (rows that are
    looked up by name) and refuse them by itself.

    Raises:
        CheckpointError: keys are missing, unknown or of another shape; the first ones and the counts are named.
    """
    for name, module in model.named_modules():
        if hasattr(module, 'adapt_weights'):
            module.adapt_weights(weights, f'{name}.' if name else '', str(source))
    expected = {key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    expected = {key: value for key, value in expected.items() if 'num_batches_tracked' not in key}
    found = {key: value for key, value in weights.items() if 'num_batches_tracked' not in key}
    missing = [key for key in expected if key not in found]
    unknown = [key for key in found if key not in expected]
    shapes = [k for k in expected if k in found and tuple(found[k].shape) != tuple(expected[k].shape)]
    if not (missing or unknown or shapes):
        _check_values({key: found[key] for key in expected}, expected, source)
        return
    parts = []
    if shapes:
        key = shapes[0]
        parts.append(
            f'{len(shapes)} of another shape (first {key}: {tuple(found[key].shape)} in the file, '
            f'{tuple(expected[key].shape)} in the model)'
        )
    if missing:
        parts.append(f'{len(missing)} missing ({listed(missing, shown=3)})')
    if unknown:
        parts.append(f'{len(unknown)} unknown ({listed(unknown, shown=3)})')
    raise CheckpointError(
        f'{source} belongs to another architecture: of the {len(expected)} weights of {type(model).__name__}, '
        + '; '.join(parts)
        + '.'
    )


def _check_values(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str | Path) -> None:
    """Refuse weights of another kind of number, and such that are not finite: what they give would not be either."""
    for key, value in found.items():
        if value.is_complex() or value.layout != torch.strided or value.is_quantized:
            kind = 'complex' if value.is_complex() else str(value.layout)
            raise CheckpointError(f'{source}: {key} holds {kind} numbers, expected those of {expected[key].dtype}.')
        if value.is_floating_point() and value.device.type != 'meta' and not torch.isfinite(value).all():
            count = int(value.numel() - torch.isfinite(value).sum())
            raise CheckpointError(f'{source}: {count} numbers of {key} are NaN or infinite, expected finite weights.')


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load the weights in ``path`` into ``model``; all of them must fit.

    Returns:
        The ``meta`` of the checkpoint (config, versions, seed, plan), empty for bare weights.
    """
    checkpoint = read_checkpoint(path)
    try:
        weights = weights_of(checkpoint)
        check_architecture(model, weights, path)
        model.load_state_dict(weights, strict=False)
    except InputError as error:
        raise error if str(path) in str(error) else CheckpointError(f'{path}: {error}') from None
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        reason = ' '.join(str(error).split())[:160]
        raise CheckpointError(f'{path} cannot be loaded ({reason}), expected the weights of this model.') from error
    return checkpoint.get('meta') or {}
