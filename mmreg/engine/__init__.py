"""Training: loops that resume exactly, hooks, mixed precision, schedules, and the doors `train` and `test`."""

from mmreg.utils import compat as _compat  # noqa: F401  (before anything of the engine is built)

from . import hooks, loops, optim_wrapper, schedulers, workers
from .hooks import *  # noqa: F403
from .loops import ResumableEpochLoop, ResumableIterLoop
from .optim_wrapper import MixedPrecisionOptimWrapper
from .plan import make_plan
from .schedulers import PolynomialRounded
from .workers import own_group_worker

__all__ = [
    'MixedPrecisionOptimWrapper',
    'PolynomialRounded',
    'ResumableEpochLoop',
    'ResumableIterLoop',
    'hooks',
    'loops',
    'make_plan',
    'optim_wrapper',
    'own_group_worker',
    'schedulers',
    'workers',
]
__all__ += hooks.__all__
