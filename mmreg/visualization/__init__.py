"""Pictures: figures of registered pairs, and the visualizer that hands them to the logging backends.

Every module of this package is imported and registers its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import VISBACKENDS, VISUALIZERS
from mmreg.utils.discovery import find_parts

from .figures import fold_percentage, overview_figure, save_png
from .report import ReportContent, write_report

_PARTS = find_parts(__name__, __path__, VISUALIZERS, VISBACKENDS)
globals().update(_PARTS)
__all__ = ['ReportContent', 'fold_percentage', 'overview_figure', 'save_png', 'write_report', *_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
