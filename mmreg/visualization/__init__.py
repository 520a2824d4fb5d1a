"""Pictures: figures of registered pairs, and the visualizer that hands them to the logging backends."""

from .backends import WandbVisBackend
from .figures import fold_percentage, overview_figure, save_png
from .visualizer import RegVisualizer

__all__ = ['RegVisualizer', 'WandbVisBackend', 'fold_percentage', 'overview_figure', 'save_png']
