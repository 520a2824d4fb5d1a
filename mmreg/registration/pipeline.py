"""The steps between two files and a result, the same for networks and for optimisation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.utils.described import split_keywords, with_keywords
from mmreg.utils.memory import give_back

from .alignment import align
from .files import PairFiles
from .inputs import Image, Pair, read_pair
from .landmark_start import KINDS, align_by_landmarks
from .method import Method
from .options import USES, RunOptions
from .progress import ProgressCallback, tell
from .provenance import describe_run
from .results.coverage import overlap_percent
from .results.follow import follow, on_fixed_grid
from .results.inverse import Inverse, inverse_of, own_inverse
from .results.judge import judge
from .results.possible import longer_than_image
from .results.result import RegistrationResult
from .sources.maps import map_on_fixed_grid
from .types import AffineLike, ImageLike, WantedInverse
from .working.pair import SourceResult, WorkingPair, to_fixed_grid
from .working.preparation import working_grid
from .working.stacks import stack_axis
from .working.window import sized

#: Said of results whose landmarks are no judges.
STEERED = 'the landmarks steered this registration: their own error says nothing of other points.'


@dataclass
class StartedPair:
    """A pair that waits for its displacement."""

    options: RunOptions
    method: Method
    on: WorkingPair
    overlap: float
    timings: dict[str, float] = field(default_factory=dict)

    def key(self) -> tuple[Any, ...]:
        """Pairs of one key can be displaced together."""
        return (id(self.method.source), *self.on.key())


class Pipeline:
    """Registers pairs of images of any size, spacing and orientation.

    A pair is read, brought roughly together by an affine, prepared on a working grid made from the fixed image, and
    handed to the source of its method. The displacement comes back to the fixed image's own grid, and everything is
    sampled once from the original moving voxels.

    Args:
        options: How; what a call says itself counts more.
    """

    #: How many channels each image must have; None: any, the same in both.
    channels: int | None = None

    def __init__(self, options: RunOptions):
        self.options = options
        self.label_names: Mapping[int, str] = {}

    def method(self, pair: Pair) -> Method:
        """How this pair is registered.

        Raises:
            InputError: the images do not suit.
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What results depend on besides the files; plain values."""
        raise NotImplementedError

    def presenting(self, options: RunOptions, label_names: Mapping[int, str]) -> Pipeline:
        """Itself, with what ``options`` say of the files that are written: nothing that the displacement depends on.

        Args:
            options: Whose ``fill``, ``label_names`` and ``view`` count.
            label_names: What was read of the labels' names.
        """
        self.label_names = label_names
        self.options = replace(self.options, fill=options.fill, label_names=options.label_names, view=options.view)
        return self

    def needed(self) -> tuple[str, ...]:
        """Which inputs besides the two images the displacement depends on."""
        steering = ('fixed_landmarks', 'moving_landmarks') if self.options.use_landmarks else ()
        return ('fixed_mask', 'moving_mask', *steering)

    def used_landmarks(self) -> dict[str, Any]:
        """The part of :meth:`settings` that says how landmarks steer; empty where they do not."""
        used = [how for how in USES if self.options.steers(how)]
        return {'use_landmarks': used} if used else {}

    @with_keywords(PairFiles, RunOptions, skip=RunOptions.names(but=('affine', 'landmark_frame')))
    def __call__(
        self,
        fixed: ImageLike,
        moving: ImageLike,
        *,
        case_id: str | None = None,
        affine: AffineLike = None,
        landmark_frame: str | None = None,
        inverse: WantedInverse = True,
        metrics: bool = True,
        out_dir: str | Path | None = None,
        watch: ProgressCallback = None,
        **files: Any,
    ) -> RegistrationResult:
        """Register one pair.

        Args:
            {keywords}
            case_id: Name of the pair; made from the two file names by default.
            inverse: Also bring the inverse displacement: a network's own where it has one, else computed; ``'own'``:
                only where a network has one.
            metrics: Compute numbers and warnings.
            out_dir: Folder to write everything to; nothing is written where None.
            watch: Called with where the registration is (:class:`mmreg.registration.progress.ProgressEvent`).

        Raises:
            DataError: one sentence for whatever is wrong with an input.
        """
        (given,) = split_keywords({'fixed': fixed, 'moving': moving, **files}, PairFiles)
        started = self.start(PairFiles(**given), case_id, affine=affine, landmark_frame=landmark_frame, watch=watch)
        (moved,) = self.displace([started], watch)
        result = self.finish(started, moved, inverse=inverse, metrics=metrics, watch=watch)
        if out_dir is not None:
            result.save(out_dir, watch=watch)
        return result

    def start(
        self,
        files: PairFiles,
        case_id: str | None = None,
        *,
        affine: AffineLike = None,
        landmark_frame: str | None = None,
        watch: ProgressCallback = None,
    ) -> StartedPair:
        """Read a pair, choose its method, find its affine and its working grid."""
        options = replace(self.options, affine=affine, landmark_frame=landmark_frame)
        timings: dict[str, float] = {}
        tell(watch, 'read')
        with timed(timings, 'read'):
            pair = read_pair(
                files, case_id, channels=self.channels, landmark_frame=landmark_frame,
                label_sets=options.label_sets, label_values=None if options.labels is None else list(options.labels),
            )  # fmt: skip
            _check_landmarks(pair, options)
        with timed(timings, 'method'):
            method = self.method(pair)
            tell(watch, 'method', method.words())
            _check_slices(pair, method.source.model.ndim)
        with timed(timings, 'affine'):
            device = method.source.device
            wanted = options.only or affine
            if options.steers('start'):
                kind = wanted if isinstance(wanted, str) and wanted in KINDS else None
                alignment = align_by_landmarks(
                    pair, kind or (method.affine or {}).get('transform', 'affine'), bool(kind)
                )
            else:
                first = affine if options.only else None
                alignment = align(pair, wanted, method.affine, first, device=device, seed=options.seed, watch=watch)
        overlap = overlap_percent(pair.images, alignment.matrix)
        geometry = pair.fixed.geometry
        axis = stack_axis(geometry) if method.source.model.ndim < geometry.ndim else None
        grid = working_grid(geometry, method.preparation, axis)
        if axis is None:
            grid = sized(grid, method.preparation, pair.fixed.volume)
        return StartedPair(options, method, WorkingPair(pair, alignment, grid, axis), overlap, timings)

    def displace(self, started: Sequence[StartedPair], watch: ProgressCallback = None) -> list[SourceResult]:
        """Displacements of pairs of one :meth:`StartedPair.key`, as one batch."""
        return started[0].method.source([one.on for one in started], watch)

    def finish(
        self,
        started: StartedPair,
        moved: SourceResult,
        *,
        inverse: WantedInverse = True,
        metrics: bool = True,
        watch: ProgressCallback = None,
    ) -> RegistrationResult:
        """Bring a displacement to the fixed grid and let everything follow it."""
        timings, on = {**started.timings, **moved.seconds}, started.on
        pair, matrix = on.pair, on.alignment.matrix
        tell(watch, 'outputs')
        with timed(timings, 'outputs'):
            displacement = to_fixed_grid(moved.displacement, on)
            result = on_fixed_grid(pair.case_id, displacement, pair.images, matrix, started.options.fill)
            if inverse and not longer_than_image(displacement, result.geometry):
                tell(watch, 'inverse')
                give_back()
                result.inverse = _inverse(displacement, moved, on, inverse)
            result.labels = {role: image.volume for role, image in pair.scored.items()}
            follow(result, pair.labels, pair.points)
            result.maps = {name: map_on_fixed_grid(values, on) for name, values in moved.maps.items()}
        result.curves, result.alignment = moved.curves, on.alignment
        result.warnings += moved.warnings
        result.minimised = moved.minimised
        result.label_names, result.view = self.label_names, started.options.view
        if started.options.use_landmarks:
            result.warnings.append(STEERED)
        if metrics:
            tell(watch, 'metrics')
            with timed(timings, 'metrics'):
                judge(result, pair, started.method, started.overlap, started.options.labels)
        result.timings = {**timings, 'total': sum(timings.values())}
        result.provenance = describe_run(started.options, started.method, result, on, moved)
        return result


def _inverse(displacement: np.ndarray, moved: SourceResult, on: WorkingPair, wanted: WantedInverse) -> Inverse | None:
    """What undoes a displacement ``(ndim, *S)`` on the fixed grid: as the model says, else as computed."""
    geometry = on.pair.fixed.geometry
    if moved.inverse is not None:
        own = own_inverse(displacement, geometry, to_fixed_grid(moved.inverse, on))
        if own is not None:
            return own
    return None if wanted == 'own' else inverse_of(displacement, geometry, divide=True)


def _check_landmarks(pair: Pair, options: RunOptions) -> None:
    """Refuse a pair without the landmarks that shall steer it."""
    missing = [f'{role}_landmarks' for role in ('fixed', 'moving') if role not in pair.points]
    if options.use_landmarks and missing:
        raise DataError(
            f'{pair.case_id}: found no {" and no ".join(missing)}, expected landmarks of both images with use_landmarks'
        )


def _check_slices(pair: Pair, ndim: int) -> None:
    """Refuse one slice for a method in three dimensions."""
    for image, other in ((pair.fixed, pair.moving), (pair.moving, pair.fixed)):
        shape = image.geometry.shape
        if len(shape) == ndim and min(shape) < 2:
            raise DataError(
                f'{image.name}: found one slice of a volume, or a line ({_shape(image)} voxels), and in {other.name} '
                f'{_shape(other)}, expected two slices, which are registered in their plane, or two volumes'
            )


def _shape(image: Image) -> str:
    return ' x '.join(map(str, image.geometry.shape))


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Seconds of the block, under ``name``; the memory that it needed is given back."""
    start = time.perf_counter()
    yield
    give_back()
    timings[name] = time.perf_counter() - start
