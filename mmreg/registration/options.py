"""The options of a registration run: what they are called and mean is written here, once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreg.errors import ConfigError
from mmreg.utils.described import described
from mmreg.utils.option_values import check_seed

if TYPE_CHECKING:
    import torch

    from .types import AffineLike

#: What ``affine`` understands besides a matrix or a file. ``auto`` is what the preset or config says; the next four
#: name the kind of map that is searched for.
SEARCHED = ('auto', 'affine', 'similarity', 'rigid', 'translation')
AFFINE_WORDS = (*SEARCHED, 'centres', 'none')
#: Files of a result, by group (``plan.json`` is always written), and layouts of a cohort's folder.
OUTPUT_NAMES = (
    *('warped', 'displacement', 'transforms', 'labels', 'maps', 'landmarks', 'metrics', 'rigidity', 'overview'),
    'report',
)
LAYOUT_NAMES = ('files', 'lumir', 'learn2reg', 'oasis')
#: Kinds of map that may be all that is asked for.
ONLY = ('rigid', 'similarity', 'affine')
#: What landmarks may do besides being scored.
USES = ('start', 'loss')
LABEL_SETS = ('equal', 'overlap')
VIEW_NAMES = ('neurological', 'radiological')
LANDMARK_FRAMES = ('voxel', 'dirlab', 'ras', 'lps')


@dataclass(frozen=True, eq=False)
class RunOptions:
    """How pairs are registered.

    Its fields are the options of ``mmreg register`` and ``mmreg infer``, the keywords of :func:`mmreg.register`, and
    the ``options`` in ``plan.json``.
    """

    preset: str | Path | None = described(
        'a preset by name, or a config file of your own; with refine: whose losses, "network" for those of the network '
        '(default: chosen by what is in the images)',
        None,
        metavar='NAME',
    )
    model: Any = described(
        'config of a trained network, which is Python; the displacement is then its own', None,
        python='or a Config, or the model itself', metavar='CONFIG',
    )  # fmt: skip
    checkpoint: str | Path | None = described(
        'weights of the network; what mmreg convert wrote needs no config: the file says which network it is', None,
        short='-c',
    )  # fmt: skip
    refine: int = described(
        'iterations of an optimisation that starts from what the network found', 0, type=int, metavar='N'
    )
    fast: bool = described(
        'a first answer soon: the preset with fewer and coarser iterations, or a network where one comes with mmreg '
        'that suits the images and is better; with refine: that network, and that many iterations after it',
        False,
        action='store_true',
    )
    smoothness: float = described(
        'factor on the lengths (mm) over which a preset smooths the deformation: 2 is twice as stiff, 0.5 follows '
        'finer differences; the lengths of each preset are told by --list-presets (default: 1)',
        1.0,
        type=float,
        metavar='F',
    )
    affine: AffineLike = described(
        f'before the deformation: {", ".join(AFFINE_WORDS)}, or FILE (ITK transform or 4x4 text matrix in RAS mm, '
        'fixed -> moving); auto: as the preset or config says, centres: the centres of both grids put together, '
        'none: the headers alone',
        'auto',
        python='or a ``(ndim+1, ndim+1)`` matrix fixed world -> moving world, RAS mm; None: the headers alone',
        metavar='HOW',
    )
    only: str | None = described(
        'stop after the initialisation and deform nothing: the kind of map that is searched for', None, choices=ONLY
    )
    use_landmarks: Sequence[str] | None = described(
        'landmarks of both images steer: start (the affine is the map that brings them nearest to each other, no image '
        'is looked at), loss (each pulls the deformation towards its partner), or both; else they are only scored',
        None,
        nargs='+',
        choices=USES,
        python='or one of the words',
    )
    device: str | torch.device | None = described(
        'where it runs: cpu, cuda, cuda:N (default: the GPU where there is one)', None
    )
    seed: int = described('seed of everything that is drawn (default: 0)', 0, type=int)
    cfg_options: Mapping[str, Any] | None = described(
        'changes of config keys, of the network where there is one, else of the preset', None, flag=None
    )
    label_sets: str = described(
        'what label maps must share: equal (the same labels) or overlap (at least one)', 'equal', choices=LABEL_SETS
    )
    labels: Sequence[int] | None = described(
        'label values to score (default: all but 0)', None, nargs='+', type=int, metavar='N'
    )
    landmark_frame: str | None = described(
        'frame of landmark CSVs (default: told by their header)', None, choices=LANDMARK_FRAMES
    )
    fill: float | None = described(
        'value of the warped image where the moving one has no voxels (default: air of CT, the darkest value where an '
        'image has negative ones and dark corners, else 0)',
        None,
        type=float,
        metavar='VALUE',
    )

    label_names: str | Path | Mapping[int, str] | None = described(
        'names of the labels, for reports and tables: FreeSurfer lookup table, ITK-SNAP labels, 3D Slicer .ctbl, BIDS '
        '.tsv, CSV or JSON',
        None,
        python='or a mapping value -> name',
        metavar='FILE',
    )
    view: str = described(
        "which way the pictures show the patient: neurological (the patient's right on the right) or radiological (on "
        'the left, as seen from the feet) (default: neurological)',
        'neurological',
        choices=VIEW_NAMES,
    )

    @classmethod
    def names(cls, but: Collection[str] = ()) -> list[str]:
        """All of them but some."""
        return [one.name for one in fields(cls) if one.name not in but]

    @property
    def network(self) -> bool:
        """Whether a network is named: by its config, by weights that tell it, or by both."""
        return self.model is not None or self.checkpoint is not None

    def steers(self, how: str) -> bool:
        """Whether landmarks are used as one of :data:`USES`."""
        used = self.use_landmarks
        return how in ([used] if isinstance(used, str) else used or ())

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            ConfigError: naming them.
        """
        check_seed(self.seed)
        automatic = self.affine is None or (isinstance(self.affine, str) and self.affine == 'auto')
        if self.only is not None and not automatic:
            raise ConfigError(f'only={self.only!r} and affine={self.affine!r} were given, expected one of them.')
        self._check_landmarks(automatic)
        if not 0.05 <= self.smoothness <= 20:
            raise ConfigError(
                f'smoothness is {self.smoothness:g}, expected a factor from 0.05 to 20; 1 is as the preset says.'
            )
        if self.network and self.smoothness != 1:
            raise ConfigError(f'smoothness is {self.smoothness:g} and a model was given, expected it for presets only.')
        if self.fast:
            self._check_fast()
        elif not self.network:
            if self.refine:
                raise ConfigError('refine was given without a model, expected the config of a network with it.')
        elif self.only is not None:
            raise ConfigError(f'only={self.only!r} and a model were given, expected one of them.')
        elif self.preset is not None and not self.refine:
            raise ConfigError(
                'preset and a network were given, expected one of them, or the number of refine iterations too.'
            )

    def _check_fast(self) -> None:
        for name in ('model', 'checkpoint', 'only'):
            if getattr(self, name) is not None:
                raise ConfigError(f'fast and {name} were given, expected one of them.')
        if self.smoothness != 1 and self.refine:
            raise ConfigError(f'smoothness is {self.smoothness:g} with refine, expected it for presets only.')

    def _check_landmarks(self, automatic: bool) -> None:
        """Refuse uses of landmarks that nothing would come of."""
        used = [self.use_landmarks] if isinstance(self.use_landmarks, str) else list(self.use_landmarks or ())
        unknown = [word for word in used if word not in USES]
        if unknown:
            raise ConfigError(f'use_landmarks is {unknown[0]!r}, expected some of {", ".join(USES)}.')
        kinds = ('affine', 'similarity', 'rigid', 'translation')
        if 'start' in used and not automatic and not (isinstance(self.affine, str) and self.affine in kinds):
            raise ConfigError(
                f'use_landmarks=start and affine={self.affine!r} were given, expected one of them; {", ".join(kinds)} '
                'name the kind of map.'
            )
        if 'loss' in used and self.only is not None:
            raise ConfigError(f'use_landmarks=loss and only={self.only!r} were given, expected one of them.')
        if 'loss' in used and self.network and not self.refine:
            raise ConfigError(
                'use_landmarks=loss was given with a model, expected the number of refine iterations too, in which the '
                'landmarks pull.'
            )

    def described_values(self) -> dict[str, Any]:
        """All of them as plain values, for the plan; a model that is no path by its kind."""
        from mmreg.io.plain import plain  # loads what reads files: not for a help text

        found = {one.name: getattr(self, one.name) for one in fields(self)}
        if found['model'] is not None and not isinstance(found['model'], str | Path):
            found['model'] = f'a {type(self.model).__name__}'
        return plain(found)
