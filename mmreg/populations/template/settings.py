"""What a template is built by: written here, once, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.utils.choices import AVERAGES
from mmreg.utils.described import described

KINDS = ('rigid', 'similarity', 'affine')


@dataclass(frozen=True)
class TemplateSettings:
    """How a template is built from scans."""

    rounds: int = described('deformable rounds (default: 4)', 4, type=int, metavar='N')
    affine_rounds: int = described(
        'rounds that bring the scans to the space in their middle first (default: 2)', 2, type=int, metavar='N'
    )
    align: str = described(
        'what those rounds search for: rigid keeps the sizes of the scans apart from each other (default: affine)',
        'affine',
        choices=KINDS,
    )
    average: str = described(
        'of the intensities: mean, or median, which an outlier does not pull (default: mean)', 'mean', choices=AVERAGES
    )
    sharpen: float = described(
        'how much details are raised in the template that the next round registers to, 0 to 2 (default: 0)',
        0.0,
        type=float,
        metavar='X',
    )
    symmetric: bool = described(
        'a template whose left and right are mirror images, as if every scan came with its mirrored copy',
        False,
        action='store_true',
    )
    start: str | Path | None = described(
        'image to begin with, which gives the grid too (default: the scan of middling size)', None, metavar='FILE'
    )
    spacing: float | None = described(
        "distance of the template's voxels in mm (default: the median of the scans)", None, type=float, metavar='MM'
    )
    schedule: Sequence[float] = described(
        'spacing of each deformable round, as a factor on that of the template; the last one holds for the rest '
        '(default: 2 1)',
        (2.0, 1.0),
        nargs='+',
        type=float,
        metavar='F',
    )
    keep_rounds: bool = described('keep the displacements of every round', False, action='store_true')

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: naming it.
        """
        if self.rounds < 0 or self.affine_rounds < 1:
            raise ConfigError(
                f'rounds is {self.rounds} and affine_rounds {self.affine_rounds}, expected 0 or more and 1 or more.'
            )
        if not 0 <= self.sharpen <= 2:
            raise ConfigError(f'sharpen is {self.sharpen:g}, expected 0 to 2.')
        if self.spacing is not None and not 0 < self.spacing < 1e4:
            raise ConfigError(f'spacing is {self.spacing:g} mm, expected a number above 0.')
        if self.spacing is not None and self.start is not None:
            raise ConfigError('start and spacing were given, expected one of them: the first image brings its grid.')
        if not self.schedule or not all(1 <= factor <= 16 for factor in self.schedule):
            raise ConfigError(f'schedule is {list(self.schedule)}, expected factors from 1 to 16.')

    def factor(self, round_number: int) -> float:
        """Factor on the spacing in a deformable round, from 0; the template itself has 1."""
        if round_number >= self.rounds:
            return 1.0
        return float(self.schedule[min(round_number, len(self.schedule) - 1)])
