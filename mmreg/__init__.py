"""mmreg: deformable medical image registration in the MMEngine style.

Importing the package is cheap: torch is loaded by the sub-package that needs it.
"""

from typing import Any

from .version import __version__

__all__ = ['RegistrationInferencer', 'RegistrationResult', '__version__', 'init_model']

# Public names that live in heavy sub-packages and are loaded on first use.
_LAZY: dict[str, str] = {
    'RegistrationInferencer': 'mmreg.apis',
    'RegistrationResult': 'mmreg.apis',
    'init_model': 'mmreg.apis',
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
