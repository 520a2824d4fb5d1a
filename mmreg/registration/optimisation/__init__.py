"""Registration without training: the fields of one batch of pairs, optimised from coarse to fine."""

from .optimise import optimise
from .result import Optimised, Progress
from .settings import Level, Settings

__all__ = ['Level', 'Optimised', 'Progress', 'Settings', 'optimise']
