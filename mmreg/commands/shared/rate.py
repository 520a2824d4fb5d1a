"""The column of a bar that says how fast cases are done."""

from __future__ import annotations

from rich.progress import ProgressColumn, Task
from rich.text import Text


class RateColumn(ProgressColumn):
    """Seconds per case, or cases per second."""

    def render(self, task: Task) -> Text:
        """Cases per second of a task, or nothing before the first."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text('-')
        return Text(f'{speed:.1f} cases/s' if speed > 1 else f'{1 / speed:.1f} s/case')
