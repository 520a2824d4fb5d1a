"""Where a predicted label map comes from. Every module here is imported and registers its segmenter."""

from mmreg.utils.discovery import import_submodules

from .base import Segmenter

import_submodules(__name__, __path__)

__all__ = ['Segmenter']
