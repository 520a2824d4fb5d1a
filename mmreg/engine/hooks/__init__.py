"""Hooks of the training loop."""

from .checkpoint import AtomicBackend, SafeCheckpointHook, save_checkpoint
from .compile import CompileHook
from .invalid_loss import CheckInvalidLossHook
from .seed import IterSeedHook
from .stop import GracefulStopHook

__all__ = [
    'AtomicBackend',
    'CheckInvalidLossHook',
    'CompileHook',
    'GracefulStopHook',
    'IterSeedHook',
    'SafeCheckpointHook',
    'save_checkpoint',
]
