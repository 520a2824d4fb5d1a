"""How labels are propagated: written here, once, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmreg.errors import ConfigError
from mmreg.utils.described import described

FUSION_NAMES = ('majority', 'weighted', 'staple', 'joint')
#: Those that compare the intensities of atlases with those of the scan.
COMPARING = ('weighted', 'joint')


@dataclass(frozen=True)
class PropagationSettings:
    """How the labels of atlases become those of a scan."""

    fusion: Sequence[str] = described(
        'how the labels of all atlases are made into one: majority, weighted (by local similarity), staple, joint '
        '(joint label fusion); several give a file each (default: joint)',
        ('joint',),
        nargs='+',
        choices=FUSION_NAMES,
    )
    select: int | None = described(
        'use the so many atlases that are most alike after an affine (default: all)', None, type=int, metavar='N'
    )

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: naming it.
        """
        unknown = [name for name in self.fusion if name not in FUSION_NAMES]
        if unknown or not self.fusion:
            raise ConfigError(f'fusion is {list(self.fusion)}, expected some of {", ".join(FUSION_NAMES)}.')
        if self.select is not None and self.select < 1:
            raise ConfigError(f'select is {self.select}, expected 1 or more.')

    def selects(self, atlases: int) -> bool:
        """Whether some of so many atlases are chosen, after an affine of all."""
        return self.select is not None and self.select < atlases

    def registrations(self, atlases: int) -> int:
        """How many registrations one scan needs."""
        return atlases + (self.select or 0) if self.selects(atlases) else atlases
