"""A network that names the tissues of a brain of any contrast: its images, itself, and how files are shown through it.

mmreg train projects/own_weights/tissue_brain_any.py --plugin projects/own_weights/tissues
"""

from .dataset import TissueBrains
from .unet import TissueUNet
from .view import CommonContrast

__all__ = ['CommonContrast', 'TissueBrains', 'TissueUNet']
