"""The plan inside a checkpoint, told by a file: what it may say about the images that a network is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmreg.datasets.transforms import ImageTransform
from mmreg.errors import CheckpointError
from mmreg.registry import TRANSFORMS
from mmreg.utils.admit import admit, plain_values

from .intensities import VIEWS, transform_class


def admitted_plan(plan: Any, where: str) -> dict[str, Any]:
    """What the plan of a checkpoint says about files, fit to be built: registered transforms with plain arguments.

    Args:
        plan: What the checkpoint holds.
        where: File and key, for errors.

    Raises:
        CheckpointError: it names or holds something else.
    """
    if not isinstance(plan, Mapping):
        raise CheckpointError(f'{where} is a {type(plan).__name__}, expected keys and values.')
    result = {key: plan[key] for key in ('inference', 'preprocess', 'pair', 'spacing') if plan.get(key) is not None}
    if 'spacing' in result:
        result['spacing'] = plain_values(result['spacing'], f'{where}: spacing')
    inference = result.get('inference')
    if isinstance(inference, Mapping):
        result['inference'] = {
            key: _image_transforms(value, f'{where}: inference.intensity')
            if key == 'intensity' and value is not None
            else plain_values(value, f'{where}: inference.{key}')
            for key, value in inference.items()
        }
    for key in ('preprocess', 'pair'):
        if key in result:
            result[key] = [_named(config, f'{where}: {key}') for config in _listed(result[key], f'{where}: {key}')]
    return result


def _listed(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise CheckpointError(f'{where} is a {type(value).__name__}, expected a list of transforms.')
    return list(value)


def _image_transforms(value: Any, where: str) -> Any:
    return admit(_listed(value, where), where, [TRANSFORMS], CheckpointError, of=ImageTransform)


def _named(config: Any, where: str) -> dict[str, Any]:
    """A transform of a data set: whole where it decides intensities, else its name and orientation."""
    if not isinstance(config, Mapping) or 'type' not in config:
        raise CheckpointError(f'{where} has the entry {config!r:.80}, expected the config of a transform.')
    name = admit({'type': config['type']}, where, [TRANSFORMS], CheckpointError)
    if issubclass(transform_class(name), (ImageTransform, *VIEWS)):
        return admit([config], where, [TRANSFORMS], CheckpointError)[0]
    return {**name, 'orientation': plain_values(config.get('orientation'), where)}
