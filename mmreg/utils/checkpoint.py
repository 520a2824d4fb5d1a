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

from mmreg.errors import CheckpointError

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


def read_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """The content of a checkpoint: a training checkpoint, bare weights, or safetensors.

    Args:
        path: File written by a training run, by ``torch.save`` or by safetensors.
        map_location: As in :func:`torch.load`.

    Raises:
        CheckpointError: the file is missing, damaged, no checkpoint, or holds Python objects.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such checkpoint file.')
    if path.suffix == '.safetensors':
        return _read_safetensors(path, map_location)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # remarks about pickle protocols: the error below says it better
        try:
            with torch.serialization.safe_globals(_ALLOWED):
                content = torch.load(path, map_location=map_location, weights_only=True)
        except Exception as error:
            raise CheckpointError(_reason(path, error)) from error
    if not isinstance(content, Mapping) or not any(_tensors(content)):
        raise CheckpointError(f'{path} is not a checkpoint: it holds a {type(content).__name__} without any weights.')
    return dict(content)


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


def _tensors(content: Mapping, depth: int = 3) -> Any:
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
    """The state dict in ``checkpoint`` (or the checkpoint itself), without the prefix of parallel wrappers."""
    state = checkpoint.get('state_dict', checkpoint)
    return {key.removeprefix('module.'): value for key, value in state.items()}


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
        return
    parts = []
    if shapes:
        key = shapes[0]
        parts.append(
            f'{len(shapes)} of another shape (first {key}: {tuple(found[key].shape)} in the file, '
            f'{tuple(expected[key].shape)} in the model)'
        )
    if missing:
        parts.append(f'{len(missing)} missing (first {", ".join(missing[:3])})')
    if unknown:
        parts.append(f'{len(unknown)} unknown (first {", ".join(unknown[:3])})')
    raise CheckpointError(
        f'{source} belongs to another architecture: of the {len(expected)} weights of {type(model).__name__}, '
        + '; '.join(parts)
        + '.'
    )


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load the weights in ``path`` into ``model``; all of them must fit.

    Returns:
        The ``meta`` of the checkpoint (config, versions, seed, plan), empty for bare weights.
    """
    checkpoint = read_checkpoint(path)
    weights = weights_of(checkpoint)
    check_architecture(model, weights, path)
    model.load_state_dict(weights, strict=False)
    return checkpoint.get('meta', {})
