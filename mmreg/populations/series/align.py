"""The frames of a series brought together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError, InputError
from mmreg.evaluation.functional.similarity import foreground
from mmreg.io import Transform, Volume, affine_transform, resample_to, write_volume
from mmreg.io.resample import outside_value
from mmreg.io.tables import write_json
from mmreg.populations.affine_means import TURNED, turn_degrees
from mmreg.populations.averages import ImageAverage
from mmreg.populations.contrast import in_hounsfield_units, refuse_mixed
from mmreg.populations.kept import keep_volume
from mmreg.populations.page import named_lines
from mmreg.populations.sampling import ALIKE, correlation, sampled_on
from mmreg.populations.scans import Scan
from mmreg.populations.told import Told, silent
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.engines.base import Engine, LocalEngine
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.options import RunOptions
from mmreg.registration.results.folder import MARKER
from mmreg.transforms.files import load_chain, load_transform
from mmreg.version import __version__

from .carry import carry, check_carried
from .frames import Series
from .motion import mean_distance, parameter_names, parameters, power_displacement, sample_points
from .page import write_series_page
from .result import SeriesResult
from .settings import SeriesSettings

#: Of a frame and its angle, and of one and its correlation.
_TURNED_TEXT = '{} is turned by {:.0f} degrees against the reference: look at it.'
_UNLIKE = '{} looks different from the reference: it correlates with it by {:.2f} only where both lie. Look at it.'


@dataclass
class _Aligner:
    series: Series
    out_dir: Path
    settings: SeriesSettings
    options: RunOptions
    engine: Engine
    told: Told
    plugins: tuple[str, ...]
    failures: dict[str, str] = field(default_factory=dict)

    def run(self) -> tuple[dict[str, Transform], Scan, float | None]:
        """Maps from the reference to every frame, the reference, and the drift of a cycle."""
        frames = list(self.series.frames)
        reference = frames[self.settings.first(len(frames))]
        if self.settings.to == 'previous':
            found, drift = self._chained(frames)
            return found, reference, drift
        found = self._to(reference.source(), frames, 'to_reference', without=reference.scan_id)
        for number in range(self.settings.rounds if self.settings.to == 'mean' else 0):
            path = self.out_dir / 'rounds' / f'mean_{number + 1}.nii.gz'
            if self.engine.is_first:
                grid = reference.read()
                keep_volume(path, mean_of(frames, found, grid))
            self.engine.wait()
            found = self._to({'id': 'mean', 'image': str(path.absolute())}, frames, f'to_mean_{number + 1}')
        return found, reference, None

    def _to(
        self, fixed: dict[str, Any], frames: Sequence[Scan], folder: str, without: str = ''
    ) -> dict[str, Transform]:
        """Every frame registered to one image."""
        cases = [CohortCase(one.scan_id, fixed, one.source()) for one in frames if one.scan_id != without]
        found = self._registered(cases, folder)
        if without:
            ndim = frames[0].geometry.ndim
            found[without] = affine_transform(np.eye(ndim + 1))
        return found

    def _chained(self, frames: Sequence[Scan]) -> tuple[dict[str, Transform], float | None]:
        """Every frame registered to the one before it, the maps composed."""
        pairs = [(before, after) for before, after in zip(frames, frames[1:])]
        if self.settings.cycle:
            pairs.append((frames[-1], frames[0]))
        cases = [CohortCase(f'{a.scan_id}_to_{b.scan_id}', a.source(), b.source()) for a, b in pairs]
        steps = self._registered(cases, 'to_previous')
        missing = [case.case_id for case in cases if case.case_id not in steps]
        if missing:
            raise DataError(
                f'{missing[0]}: found no map ({self.failures[missing[0]]}), expected one between all neighbours; '
                'to=reference goes on without a frame that fails'
            )
        found = {frames[0].scan_id: affine_transform(np.eye(frames[0].geometry.ndim + 1))}
        total = found[frames[0].scan_id]
        for case, (_, after) in zip(cases, pairs):
            total = _joined(total, steps[case.case_id])
            if after is not frames[0]:
                found[after.scan_id] = total
        if not self.settings.cycle:
            return found, None
        return found, mean_distance(None, total, _points_of(frames[0]))

    def _registered(self, cases: Sequence[CohortCase], folder: str) -> dict[str, Transform]:
        rigid = self.settings.motion != 'deformable'
        options = self.options
        if rigid:
            options = RunOptions(only=self.settings.motion, device=options.device, seed=options.seed)
        place = self.out_dir / 'rounds' / folder
        how = CohortSettings(place, outputs=('transforms',), affine='auto', inverse=not rigid)
        job = CohortJob(options, how, self.plugins)
        found = {}
        for outcome in self.engine.run(job, cases, lambda outcome: self.told(folder, outcome)):
            name = outcome.case.case_id
            if outcome.status == 'failed':
                self.failures[name] = outcome.reason
            else:
                found[name] = load_transform(self.out_dir / 'rounds' / folder / name)
                self.failures.pop(name, None)
        return found


def align_series(
    series: Series,
    out_dir: str | Path,
    settings: SeriesSettings | None = None,
    options: RunOptions | None = None,
    *,
    engine: Engine | None = None,
    told: Told = silent,
    plugins: Sequence[str] = (),
    label_names: Mapping[int, str] | None = None,
) -> SeriesResult:
    """Bring the frames of a series together, and say how they moved.

    Args:
        series: Frames in their order, see :func:`mmreg.populations.series.frames.read_series`.
        out_dir: Where everything goes; an interrupted run goes on there, frame by frame.
        settings: How.
        options: How pairs are registered where the motion is deformable.
        engine: Who registers; this process by default.
        told: Called after each registration.
        plugins: Files that register parts.
        label_names: Value -> name, for the page.

    Raises:
        InputError: one sentence for whatever is wrong with an input.

    Example:
        >>> import tempfile
        >>> from mmreg.io import write_volume
        >>> from mmreg.io import Geometry
        >>> from mmreg.populations.series.frames import read_series
        >>> folder, grid = Path(tempfile.mkdtemp()), np.indices((16, 16)) - 8.0
        >>> for name, shift in zip('ab', (0.0, 1.0)):
        ...     image = 100 * np.exp(-(((grid - shift) / 4) ** 2).sum(0)).astype(np.float32)
        ...     write_volume(folder / f'{name}.nii', Volume(image, Geometry.from_parts((16, 16))))
        >>> series = read_series([folder / 'a.nii', folder / 'b.nii'], folder)
        >>> len(align_series(series, folder / 'out').rows)
        2
    """
    settings, options = settings or SeriesSettings(), options or RunOptions()
    settings.check(len(series.frames))
    settings.check_options(options)
    options.check()
    check_carried(series.frames[settings.first(len(series.frames))], settings.labels, settings.landmarks)
    _check_contrast(series.frames)
    engine, out_dir = engine or LocalEngine(), Path(out_dir)
    work = _Aligner(series, out_dir, settings, options, engine, told, tuple(plugins))
    transforms, reference, drift = work.run()
    result = SeriesResult(transforms, [], work.failures, out_dir, drift)
    if engine.is_first:
        _write(result, series, reference, settings, label_names or {})
    engine.wait()
    return result


def _check_contrast(frames: Sequence[Scan]) -> None:
    """Refuse a CT among others; what cannot be read is told when its turn comes."""
    units = {}
    for frame in frames:
        with suppress(InputError):
            units[frame.scan_id] = in_hounsfield_units(frame.read().array)
    refuse_mixed(units, 'frames', 'as the frames of a series have')


def mean_of(frames: Sequence[Scan], transforms: dict[str, Transform], grid: Volume) -> Volume:
    """The mean of frames, each on the grid of the reference."""
    with ImageAverage() as mean:
        for frame in frames:
            if frame.scan_id in transforms:
                mean.add(*sampled_on(frame.read(), grid.geometry, transforms[frame.scan_id]))
        return Volume(mean.result(), grid.geometry)


def _write(
    result: SeriesResult, series: Series, reference: Scan, settings: SeriesSettings, label_names: Mapping[int, str]
) -> None:
    """The aligned series, its mean, tables, what is carried along, the page, and the plan last."""
    grid, out_dir = reference.read(), result.out_dir
    names, points = parameter_names(grid.ndim), _points_of(reference)
    front = foreground(grid.array)
    aligned: list[np.ndarray] = []
    earlier: tuple[list[float], Transform] | None = None
    for number, frame in enumerate(series.frames, 1):
        row: dict[str, Any] = {'frame': number, 'name': frame.scan_id}
        result.rows.append(row)
        transform = result.transforms.get(frame.scan_id)
        volume = frame.read()
        aligned.append(resample_to(volume, grid.geometry, transform=transform, fill=outside_value(volume.array)).array)
        if transform is None:
            row['reason'] = result.failures.get(frame.scan_id, '')
            continue
        matrix = transform.affine if transform.affine is not None else _affine_part(transform, points)
        now = parameters(matrix, grid.geometry.centre)
        row |= dict(zip(names, now))
        if (turn := turn_degrees(matrix)) > TURNED:
            result.warnings.append(_TURNED_TEXT.format(frame.scan_id, turn))
        row['similarity'] = correlation(grid.array[front], aligned[-1][front])
        if not row['similarity'] >= ALIKE:
            result.warnings.append(_UNLIKE.format(frame.scan_id, row['similarity']))
        row['from_reference_mm'] = mean_distance(None, transform, points)
        if earlier is not None:
            row['power_fd_mm'] = power_displacement(earlier[0], now, grid.ndim)
            row['from_previous_mm'] = mean_distance(earlier[1], transform, points)
        earlier = now, transform
    series.write(out_dir / 'aligned.nii.gz', aligned, grid)
    mean = Volume(np.asarray(np.mean(aligned, axis=0, dtype=np.float64), np.float32), grid.geometry)
    write_volume(out_dir / 'mean.nii.gz', mean)
    carried = carry(result.transforms, series.frames, reference, settings.labels, settings.landmarks, out_dir)
    write_series_page(out_dir, result, names, mean, aligned, named_lines(carried, label_names))
    write_json(out_dir / MARKER, {'mmreg': __version__, 'settings': asdict(settings), 'drift_mm': result.drift_mm,
                                  'reference': reference.scan_id, 'failures': result.failures})  # fmt: skip


def _points_of(frame: Scan) -> np.ndarray:
    """Points of what a frame shows."""
    volume = frame.read()
    return sample_points(volume.geometry, foreground(volume.array))


def _affine_part(transform: Transform, points: np.ndarray) -> np.ndarray:
    """The affine that comes nearest to a map at some points."""
    moved = transform.transform_points(points)
    ones = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(ones, moved, rcond=None)[0]
    return np.vstack([solution.T, [0.0] * points.shape[1] + [1.0]])


def _joined(first: Transform, then: Transform) -> Transform:
    """One map after the other, with the way back where both know it; matrices are multiplied, which is exact."""
    if first.affine is not None and then.affine is not None:
        return affine_transform(then.affine @ first.affine)
    return load_chain([first, then])
