"""The steps between two files and a result, the same for networks and for optimisation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .alignment import AffineLike, align
from .inputs import ImageLike, LandmarksLike, Pair, read_pair
from .method import Method
from .progress import ProgressCallback, tell
from .provenance import describe_run
from .results.coverage import overlap_percent
from .results.follow import follow, on_fixed_grid
from .results.inverse import inverse_of
from .results.judge import judge
from .results.possible import longer_than_image
from .results.result import RegistrationResult
from .sources.maps import map_on_fixed_grid
from .working.pair import SourceResult, WorkingPair, to_fixed_grid
from .working.preparation import working_grid
from .working.stacks import stack_axis


@dataclass
class Started:
    """A pair that waits for its displacement."""

    method: Method
    on: WorkingPair
    overlap: float
    timings: dict[str, float] = field(default_factory=dict)

    def key(self) -> tuple:
        """Pairs of one key can be displaced together."""
        return (id(self.method.source), *self.on.key())


class Pipeline:
    """Registers pairs of images of any size, spacing and orientation.

    A pair is read, brought roughly together by an affine, prepared on a working grid made from the fixed image, and
    handed to the source of its method. The displacement comes back to the fixed image's own grid, and everything is
    sampled once from the original moving voxels.

    Args:
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.
        seed: Of the affine search and of an optimisation.
    """

    #: How many channels each image must have; None: any, the same in both.
    channels: int | None = None

    def __init__(self, label_sets: str = 'equal', labels: Sequence[int] | None = None, seed: int = 0):
        self.label_sets, self.labels, self.seed = label_sets, labels, seed

    def method(self, pair: Pair) -> Method:
        """How this pair is registered.

        Raises:
            InputError: the images do not suit.
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What results depend on besides the files; plain values."""
        raise NotImplementedError

    def needed(self) -> tuple[str, ...]:
        """Which inputs besides the two images the displacement depends on."""
        return ('fixed_mask', 'moving_mask')

    def __call__(
        self,
        fixed: ImageLike,
        moving: ImageLike,
        *,
        fixed_labels: ImageLike | None = None,
        moving_labels: ImageLike | None = None,
        fixed_mask: ImageLike | None = None,
        moving_mask: ImageLike | None = None,
        fixed_prompt: ImageLike | None = None,
        fixed_landmarks: LandmarksLike | None = None,
        moving_landmarks: LandmarksLike | None = None,
        landmark_frame: str | None = None,
        affine: AffineLike = None,
        case_id: str | None = None,
        inverse: bool = True,
        metrics: bool = True,
        out_dir: str | Path | None = None,
        watch: ProgressCallback = None,
    ) -> RegistrationResult:
        """Register one pair.

        Args:
            fixed: Path, Volume, SimpleITK image or (array, geometry).
            moving: The same; it may live on any other grid in the same world.
            fixed_labels: Label map on the grid of ``fixed``; scored where both are given.
            moving_labels: Label map on the grid of ``moving``; warped with nearest neighbour.
            fixed_mask: Where the similarity counts, on the grid of ``fixed``; for optimisation and affine search.
            moving_mask: The same on the grid of ``moving``.
            fixed_prompt: Label map of the fixed image that a prompted model sees and no metric uses; made by the
                segmenter of the config where None.
            fixed_landmarks: Points of the fixed image: CSV, Slicer file, Landmarks or ``(P, ndim)`` RAS mm.
            moving_landmarks: Their partners.
            landmark_frame: ``'voxel'``, ``'ras'`` or ``'lps'`` of CSV files; told from the file by default.
            affine: None trusts the headers; ``(ndim+1, ndim+1)`` fixed world -> moving world in RAS mm, or a file with
                it; ``'centres'`` shifts the centre of the fixed grid to that of the moving one; ``'auto'``,
                ``'affine'``, ``'rigid'`` and ``'translation'`` search for one.
            case_id: Name of the pair; made from the two file names by default.
            inverse: Compute the inverse displacement.
            metrics: Compute numbers and warnings.
            out_dir: Folder to write everything to; nothing is written where None.
            watch: Called with where the registration is.

        Raises:
            DataError: one sentence for whatever is wrong with an input.
        """
        sources = dict(
            fixed=fixed, moving=moving, fixed_labels=fixed_labels, moving_labels=moving_labels,
            fixed_mask=fixed_mask, moving_mask=moving_mask, fixed_prompt=fixed_prompt,
            fixed_landmarks=fixed_landmarks, moving_landmarks=moving_landmarks,
        )  # fmt: skip
        started = self.start(sources, case_id, affine=affine, landmark_frame=landmark_frame, watch=watch)
        (moved,) = self.displace([started], watch)
        result = self.finish(started, moved, inverse=inverse, metrics=metrics)
        if out_dir is not None:
            result.save(out_dir)
        return result

    def start(
        self,
        sources: Mapping[str, Any],
        case_id: str | None = None,
        *,
        affine: AffineLike = None,
        landmark_frame: str | None = None,
        watch: ProgressCallback = None,
    ) -> Started:
        """Read a pair, choose its method, find its affine and its working grid."""
        timings: dict[str, float] = {}
        tell(watch, 'read')
        with timed(timings, 'read'):
            pair = read_pair(
                sources, case_id, channels=self.channels, landmark_frame=landmark_frame,
                label_sets=self.label_sets, label_values=None if self.labels is None else list(self.labels),
            )  # fmt: skip
        with timed(timings, 'method'):
            method = self.method(pair)
            tell(watch, 'method', method.words())
        with timed(timings, 'affine'):
            device = method.source.device
            alignment = align(pair, affine, method.affine, device=device, seed=self.seed, watch=watch)
        overlap = overlap_percent(pair.images, alignment.matrix)
        geometry = pair.fixed.geometry
        axis = stack_axis(geometry) if method.source.model.ndim < geometry.ndim else None
        grid = working_grid(geometry, method.preparation, axis)
        return Started(method, WorkingPair(pair, alignment, grid, axis), overlap, timings)

    def displace(self, started: Sequence[Started], watch: ProgressCallback = None) -> list[SourceResult]:
        """Displacements of pairs of one :meth:`Started.key`, as one batch."""
        return started[0].method.source([one.on for one in started], watch)

    def finish(
        self, started: Started, moved: SourceResult, *, inverse: bool = True, metrics: bool = True
    ) -> RegistrationResult:
        """Bring a displacement to the fixed grid and let everything follow it."""
        timings, on = {**started.timings, **moved.seconds}, started.on
        pair, matrix = on.pair, on.alignment.matrix
        with timed(timings, 'outputs'):
            displacement = to_fixed_grid(moved.displacement, on)
            result = on_fixed_grid(pair.case_id, displacement, pair.images, matrix)
            if inverse and not longer_than_image(displacement):
                result.inverse = inverse_of(displacement, result.geometry, divide=True)
            result.labels = {role: image.volume for role, image in pair.scored.items()}
            follow(result, pair.labels, pair.points)
            result.maps = {name: map_on_fixed_grid(values, on) for name, values in moved.maps.items()}
        result.curves, result.alignment = moved.curves, on.alignment
        if metrics:
            with timed(timings, 'metrics'):
                judge(result, pair, started.method, started.overlap, self.labels)
        result.timings = {**timings, 'total': sum(timings.values())}
        result.provenance = describe_run(started.method, result, on, moved, self.seed)
        return result


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Seconds of the block, under ``name``."""
    start = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - start
