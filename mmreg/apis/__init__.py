"""What a Python user imports: a model ready to be run, and pairs of images registered with it.

The names are loaded on first use: the command line answers `--help` and refuses bad files before torch is imported.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .inferencer import RegistrationInferencer
    from .inputs import Image, ImageLike, LandmarksLike
    from .model import init_model
    from .outputs import write_result
    from .preparation import Preparation, find_preparation
    from .result import InverseResidual, RegistrationResult

_MODULES = {
    'Image': 'inputs',
    'ImageLike': 'inputs',
    'InverseResidual': 'result',
    'LandmarksLike': 'inputs',
    'Preparation': 'preparation',
    'RegistrationInferencer': 'inferencer',
    'RegistrationResult': 'result',
    'find_preparation': 'preparation',
    'init_model': 'model',
    'write_result': 'outputs',
}

__all__ = [
    'Image',
    'ImageLike',
    'InverseResidual',
    'LandmarksLike',
    'Preparation',
    'RegistrationInferencer',
    'RegistrationResult',
    'find_preparation',
    'init_model',
    'write_result',
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
