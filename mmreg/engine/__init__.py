"""Training: loops that resume exactly, hooks, mixed precision and schedules.

Every module of this package is imported and registers its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import FUNCTIONS, LOOPS, OPTIM_WRAPPERS, PARAM_SCHEDULERS
from mmreg.utils import compat as _compat  # noqa: F401  (before anything of the engine is built)
from mmreg.utils.discovery import find_parts

from . import hooks
from .plan import make_plan

_PARTS = {
    **find_parts(__name__, __path__, LOOPS, OPTIM_WRAPPERS, PARAM_SCHEDULERS, FUNCTIONS),
    **{name: getattr(hooks, name) for name in hooks.__all__},
}
globals().update(_PARTS)
__all__ = ['hooks', 'make_plan', *_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
