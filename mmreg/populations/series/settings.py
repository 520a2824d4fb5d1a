"""How a series is aligned: written here, once, for the command line and for Python."""

from __future__ import annotations

from dataclasses import dataclass

from mmreg.errors import ConfigError
from mmreg.registration.options import RunOptions
from mmreg.utils.described import described

MOTIONS = ('rigid', 'similarity', 'affine', 'deformable')
WAYS = ('reference', 'mean', 'previous')
#: Options that only a deformable motion looks at.
_DEFORMING = ('preset', 'model', 'checkpoint', 'refine', 'fast', 'smoothness', 'cfg_options')


@dataclass(frozen=True)
class SeriesSettings:
    """How the frames of a series are brought together."""

    motion: str = described('what moves the frames (default: rigid)', 'rigid', choices=MOTIONS)
    to: str = described(
        'what each frame is registered to: one frame (reference), the mean of the aligned frames (mean), or the frame '
        'before it, composed (previous) (default: reference)',
        'reference',
        choices=WAYS,
    )
    reference: int | None = described(
        'number of the reference frame, from 1 (default: the middle one, with previous the first)', None, type=int,
        metavar='N',
    )  # fmt: skip
    rounds: int = described('with mean: so many times (default: 2)', 2, type=int, metavar='N')
    cycle: bool = described(
        'with previous: the last frame is followed by the first, and the drift after one turn is told', False,
        action='store_true',
    )  # fmt: skip
    labels: str | None = described('label map of the reference frame, carried to every frame', None, metavar='FILE')
    landmarks: str | None = described('points of the reference frame, carried to every frame', None, metavar='FILE')

    def check(self, frames: int) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: naming it.
        """
        if self.reference is not None and not 1 <= self.reference <= frames:
            raise ConfigError(f'reference is {self.reference}, expected the number of a frame, from 1 to {frames}.')
        if self.to == 'previous' and self.reference not in (None, 1):
            raise ConfigError(f'reference is {self.reference} with to=previous, expected 1: the chain begins there.')
        if self.cycle and self.to != 'previous':
            raise ConfigError(f'cycle was given with to={self.to}, expected to=previous.')
        if self.rounds < 1:
            raise ConfigError(f'rounds is {self.rounds}, expected 1 or more.')

    def check_options(self, options: RunOptions) -> None:
        """Refuse what says how deformations are found where none is looked for.

        Raises:
            ConfigError: naming it.
        """
        unused = [name for name in _DEFORMING if getattr(options, name) not in (getattr(RunOptions(), name), {})]
        if unused and self.motion != 'deformable':
            told = f'{", ".join(unused)} {"was" if len(unused) == 1 else "were"} given'
            raise ConfigError(f'{told} with motion={self.motion}, expected motion=deformable.')

    def first(self, frames: int) -> int:
        """Position of the reference frame, from 0."""
        if self.reference is not None:
            return self.reference - 1
        return 0 if self.to == 'previous' else (frames - 1) // 2
