"""Pictures: figures of registered pairs, and the visualizer that hands them to the logging backends."""

from .backends import WandbVisBackend
from .figures import fold_percentage, overview_figure, save_png
from .report import ReportContent, write_report
from .visualizer import RegVisualizer

__all__ = [
    'RegVisualizer',
    'ReportContent',
    'WandbVisBackend',
    'fold_percentage',
    'overview_figure',
    'save_png',
    'write_report',
]
