"""What a Python user imports: a model ready to be run, and pairs of images registered with it.

The names are loaded on first use: the command line answers `--help` and refuses bad files before torch is imported.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .inferencer import RegistrationInferencer
    from .inputs import Image, ImageLike, LandmarksLike
    from .inverse import InverseResidual
    from .model import init_model
    from .outputs import write_result
    from .preparation import Preparation, find_preparation
    from .presets import Preset, list_presets
    from .registration import PresetRegistration, register
    from .result import RegistrationResult
    from .transforms import (
        InvertedTransform,
        JacobianMap,
        apply_transform,
        compose_transforms,
        invert_transform,
        jacobian_map,
        transform_landmarks,
    )

_MODULES = {
    'Image': 'inputs',
    'ImageLike': 'inputs',
    'InverseResidual': 'inverse',
    'InvertedTransform': 'transforms',
    'JacobianMap': 'transforms',
    'LandmarksLike': 'inputs',
    'Preparation': 'preparation',
    'Preset': 'presets',
    'PresetRegistration': 'registration',
    'RegistrationInferencer': 'inferencer',
    'RegistrationResult': 'result',
    'apply_transform': 'transforms',
    'compose_transforms': 'transforms',
    'find_preparation': 'preparation',
    'init_model': 'model',
    'invert_transform': 'transforms',
    'jacobian_map': 'transforms',
    'list_presets': 'presets',
    'register': 'registration',
    'transform_landmarks': 'transforms',
    'write_result': 'outputs',
}

__all__ = [
    'Image',
    'ImageLike',
    'InverseResidual',
    'InvertedTransform',
    'JacobianMap',
    'LandmarksLike',
    'Preparation',
    'Preset',
    'PresetRegistration',
    'RegistrationInferencer',
    'RegistrationResult',
    'apply_transform',
    'compose_transforms',
    'find_preparation',
    'init_model',
    'invert_transform',
    'jacobian_map',
    'list_presets',
    'register',
    'transform_landmarks',
    'write_result',
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
