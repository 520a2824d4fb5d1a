"""What a registration returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .outputs import write_result
from .values import ResultValues


class RegistrationResult(ResultValues):
    """One registered pair that can be saved; its numbers and volumes are those of :class:`ResultValues`."""

    def save(self, out_dir: str | Path, **options: Any) -> Path:
        """Write everything into a folder, all or nothing."""
        return write_result(self, out_dir, **options)
