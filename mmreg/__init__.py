"""mmreg: deformable medical image registration in the MMEngine style.

Importing the package is cheap: torch is loaded by the sub-package that needs it.
"""

from typing import Any

from .version import __version__

__all__ = [
    'RegistrationInferencer',
    'RegistrationResult',
    '__version__',
    'apply_transform',
    'compose_transforms',
    'init_model',
    'invert_transform',
    'jacobian_map',
    'register',
    'transform_landmarks',
]

# Public names that live in heavy sub-packages and are loaded on first use.
_LAZY: dict[str, str] = {
    'RegistrationInferencer': 'mmreg.apis',
    'RegistrationResult': 'mmreg.apis',
    'apply_transform': 'mmreg.apis',
    'compose_transforms': 'mmreg.apis',
    'init_model': 'mmreg.apis',
    'invert_transform': 'mmreg.apis',
    'jacobian_map': 'mmreg.apis',
    'register': 'mmreg.apis',
    'transform_landmarks': 'mmreg.apis',
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
