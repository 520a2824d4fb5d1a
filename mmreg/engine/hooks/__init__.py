"""Hooks of the training loop."""

from .checkpoint import AtomicBackend, SafeCheckpointHook, save_checkpoint
from .compile import CompileHook
from .freeze import FreezeHook
from .invalid_loss import CheckInvalidLossHook
from .loss_weight import LossWeightHook
from .mean_loss import MeanLossHook
from .progress import ProgressHook
from .seed import IterSeedHook
from .stop import GracefulStopHook
from .visualization import VisualizationHook

__all__ = [
    'AtomicBackend',
    'CheckInvalidLossHook',
    'CompileHook',
    'FreezeHook',
    'GracefulStopHook',
    'IterSeedHook',
    'LossWeightHook',
    'MeanLossHook',
    'ProgressHook',
    'SafeCheckpointHook',
    'VisualizationHook',
    'save_checkpoint',
]
