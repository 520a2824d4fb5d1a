"""A template of a group: rounds of registering all scans to it and moving it to their mean shape and intensity.

Source: Guimond, Meunier, Thirion, Average Brain Models, CVIU 2000 (mean intensity, then the mean displacement taken
back); Avants et al., The Optimal Template Effect in Hippocampus Studies, NeuroImage 2010 (shape and intensity in turn).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mmreg.errors import DataError, InputError, listed
from mmreg.evaluation.functional.similarity import foreground
from mmreg.io import Geometry, Volume, read_image
from mmreg.io.tables import write_json
from mmreg.populations.affine_means import centred
from mmreg.populations.averages import sharpened
from mmreg.populations.contrast import in_hounsfield_units, refuse_mixed
from mmreg.populations.fields import inverted
from mmreg.populations.kept import keep_matrix, keep_volume, read_state, request_of
from mmreg.populations.scans import Scan, has_labels
from mmreg.registration.alignment import mean_motion
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.engines.base import Engine, LocalEngine
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.outcome import Outcome
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.options import RunOptions
from mmreg.registration.types import WantedInverse
from mmreg.utils.file_state import file_state

from . import finish
from .preset import common_preset
from .round import MeanShape, Placed, average, grid_of, lengths_mm, mean_shape, read_matrix
from .settings import TemplateSettings
from .symmetry import upright

#: Called after each scan of each round.
Told: TypeAlias = Callable[['TemplateRound', Outcome], None]


@dataclass(frozen=True)
class TemplateRound:
    """One round.

    Attributes:
        number: From 0, the affine rounds first.
        kind: ``'affine'`` or ``'deformable'``.
        within: Number among those of its kind.
        of: How many rounds there are in all.
    """

    number: int
    kind: str
    within: int
    of: int

    @property
    def name(self) -> str:
        """Folder of the round."""
        return f'{self.number + 1:02d}_{self.kind}'


def stages(settings: TemplateSettings) -> list[TemplateRound]:
    """The rounds in their order."""
    total = settings.affine_rounds + settings.rounds
    kinds = [('affine', n) for n in range(settings.affine_rounds)]
    kinds += [('deformable', n) for n in range(settings.rounds)]
    return [TemplateRound(number, kind, within, total) for number, (kind, within) in enumerate(kinds)]


@dataclass
class TemplateResult:
    """What came out.

    Attributes:
        template: The template.
        rows: Per round: scans, failures, how far shape and intensity changed.
        failures: Per scan that has no place in the template: why.
        out_dir: Where everything lies.
        warnings: What deserves a look.
    """

    template: Volume
    rows: list[dict[str, Any]]
    failures: dict[str, str]
    out_dir: Path
    warnings: list[str] = field(default_factory=list)


@dataclass
class _Builder:
    scans: Sequence[Scan]
    out_dir: Path
    settings: TemplateSettings
    options: RunOptions
    engine: Engine
    told: Told
    plugins: tuple[str, ...]
    label_names: Mapping[int, str]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = self.settings.start
        own = {**asdict(self.settings), 'start': start if start is None else file_state(start)}
        self.request = request_of(self.scans, {'template': own, 'options': self.options.described_values()})
        self.rounds = self.out_dir / 'rounds'
        self.with_labels = has_labels(self.scans)
        self.by_preset = not self.options.network and not self.options.fast

    def run(self) -> TemplateResult:
        """All rounds, and what follows them."""
        first = self.rounds / stages(self.settings)[0].name / 'round.json'
        if self.engine.is_first and read_state(first, self.request) is None:
            keep_volume(self._target(0), self._start())
        self.engine.wait()
        self.preset = self.options.preset if self.by_preset and self.options.preset else self._chosen()
        failures: dict[str, str] = {}
        for stage in stages(self.settings):
            path = self.rounds / stage.name / 'round.json'
            state = read_state(path, self.request)
            if state is not None:
                for case in self._cases(stage):
                    self.told(stage, Outcome(case, 'skipped'))
            else:
                self._round(stage)
                state = read_state(path, self.request)
                assert state is not None
            self.rows.append(state['row'])
            failures = state['failures']
        warnings: list[str] = []
        if self.engine.is_first:
            warnings = finish.write_page(self.out_dir, self._target(0), self.label_names)
        self.engine.wait()
        template = read_image(self.out_dir / 'template.nii.gz')
        return TemplateResult(template, self.rows, failures, self.out_dir, warnings)

    def _chosen(self) -> str | None:
        """The preset of all registrations, chosen once, by the first process."""
        path = self.rounds / 'preset.json'
        if self.engine.is_first and read_state(path, self.request) is None:
            first = stages(self.settings)[0]
            middling = self.settings.start is None and self.scans[_middling(self.scans)].scan_id
            choice = common_preset([case for case in self._cases(first) if case.case_id != middling])
            found = {'name': None, 'reasons': []} if choice is None else asdict(choice)
            write_json(path, {'request': self.request, **found})
        self.engine.wait()
        state = read_state(path, self.request)
        return None if state is None else state['name']

    def _round(self, stage: TemplateRound) -> None:
        """Register all scans, and let the first process do what follows."""
        outcomes = self._registered(stage)
        if self.engine.is_first:
            failures = {o.case.case_id: o.reason for o in outcomes if o.status == 'failed'}
            self._gather(stage, [o.case.case_id for o in outcomes if o.status != 'failed'], failures)
        self.engine.wait()

    def _target(self, number: int) -> Path:
        """The image that a round registers to."""
        return self.rounds / f'target_{number + 1:02d}.nii.gz'

    def _start(self) -> Volume:
        """The image of the first round, in the orientation of the template; refuses scans that have no average."""
        middling = _middling(self.scans)
        if self.settings.start is not None:
            volume = read_image(self.settings.start)
            ndim = self.scans[0].geometry.ndim
            if volume.ndim != ndim:
                raise DataError(
                    f'{self.settings.start}: found {volume.ndim}-D as start, expected {ndim}-D as the scans'
                )
        else:
            volume = self.scans[middling].read()
        return volume.reoriented('RAS'[: volume.ndim])

    def _registered(self, stage: TemplateRound) -> list[Outcome]:
        """What became of every scan in this round; nothing is done again that is done."""
        folder = self.rounds / stage.name
        affine_stage = stage.kind == 'affine'
        options = self.options
        if affine_stage:
            options = RunOptions(
                only=self.settings.align, preset=self.preset, device=options.device, seed=options.seed,
                fill=options.fill,
            )  # fmt: skip
        elif self.by_preset:
            options = replace(options, preset=self.preset)
        outputs = ('transforms',) if affine_stage else ('displacement', 'transforms')
        inverse: WantedInverse = False if affine_stage else 'own'
        how = CohortSettings(folder / 'scans', outputs=outputs, affine='auto', inverse=inverse)
        job = CohortJob(options, how, self.plugins)
        return self.engine.run(job, self._cases(stage), lambda outcome: self.told(stage, outcome))

    def _cases(self, stage: TemplateRound) -> list[CohortCase]:
        """Every scan, to be registered to the image of a round."""
        fixed = {'id': 'template', 'image': str(self._target(stage.number).absolute())}
        return [CohortCase(scan.scan_id, fixed, scan.source(), self._affine_of(stage, scan)) for scan in self.scans]

    def _affine_of(self, stage: TemplateRound, scan: Scan) -> str | None:
        """The affine of the round before, where there is one."""
        if stage.number == 0:
            return None
        before = stages(self.settings)[stage.number - 1]
        path = (self._affines(before) if stage.kind == 'affine' else self.rounds / 'affines') / f'{scan.scan_id}.tfm'
        return str(path.absolute()) if path.is_file() else None

    def _affines(self, stage: TemplateRound) -> Path:
        """Folder of what an affine round found; the last one's stay for the deformable rounds."""
        last = stage.within + 1 == self.settings.affine_rounds
        return self.rounds / 'affines' if last else self.rounds / stage.name / 'affines'

    def _gather(self, stage: TemplateRound, done: Sequence[str], failures: dict[str, str]) -> None:
        """The next target from this round, its line in the table, and after the last round the results."""
        folder = self.rounds / stage.name
        scans = [scan for scan in self.scans if scan.scan_id in set(done)]
        if len(scans) < 2:
            reasons = listed([f'{name}: {reason}' for name, reason in failures.items()], '; ', 3)
            raise DataError(f'{folder}: found {len(scans)} registered scans, expected two or more ({reasons})')
        began = time.perf_counter()
        target = read_image(self._target(stage.number))
        placed, shape_change = self._placed(stage, scans, target)
        grid = self._grid(stage, placed, target)
        found, coverage = average(placed, grid, self.settings.average, self.settings.symmetric, self.rounds)
        row = self._row(stage, len(scans), failures, shape_change, target, found)
        if self._is_last(stage):
            rows = [*self.rows, row]
            finish.write_results(
                finish.Finished(self.out_dir, placed, found, coverage, failures, rows, self.with_labels),
                {
                    'settings': asdict(self.settings),
                    'options': self.options.described_values(),
                    'request': self.request,
                },
            )
        else:
            sharp = Volume(sharpened(found.array, self.settings.sharpen), grid)
            keep_volume(self._target(stage.number + 1), sharp)
        row['gather_seconds'] = time.perf_counter() - began
        write_json(folder / 'round.json', {'request': self.request, 'row': row, 'failures': failures})
        if not self.settings.keep_rounds:
            self._tidy(stage)

    def _placed(self, stage: TemplateRound, scans: Sequence[Scan], target: Volume) -> tuple[list[Placed], float]:
        """Where each scan is, seen from the mean of all, and how far the mean was from the target, mm."""
        folders = {scan.scan_id: self.rounds / stage.name / 'scans' / scan.scan_id for scan in scans}
        matrices = [read_matrix(folders[scan.scan_id], target.ndim) for scan in scans]
        weights = [scan.weight for scan in scans]
        if stage.kind == 'affine':
            placed = [Placed(scan, matrix) for scan, matrix in zip(scans, centred(matrices, weights))]
            if self.settings.symmetric:
                placed = self._upright(placed, target)
            for one in placed:
                keep_matrix(self._affines(stage) / f'{one.scan.scan_id}.tfm', one.affine)
            return placed, mean_motion(np.linalg.inv(matrices[0]) @ placed[0].affine, target.geometry)
        grid = target.geometry
        mean = mean_shape([(folders[scan.scan_id], scan.weight) for scan in scans], self.settings.symmetric)
        shape = MeanShape(mean, inverted(mean))
        change = lengths_mm(mean, grid, foreground(target.array))
        return [
            shape.placed(scan, matrix, folders[scan.scan_id], grid) for scan, matrix in zip(scans, matrices)
        ], change

    def _upright(self, placed: Sequence[Placed], target: Volume) -> list[Placed]:
        """The same, with the plane of symmetry in the middle of the grid."""
        grid = target.geometry if self.settings.start is not None else grid_of(placed, self.settings.spacing)
        found, _ = average(placed, grid, 'mean', False, self.rounds)
        turned = upright(found, self.options.seed)
        if self.settings.start is None:  # the grid will have its middle at 0
            turned[:-1, -1] += turned[:-1, 0] * grid.centre[0]
        return [replace(one, affine=one.affine @ turned) for one in placed]

    def _grid(self, stage: TemplateRound, placed: Sequence[Placed], target: Volume) -> Geometry:
        """Grid of the next target, or of the template."""
        if self.settings.start is not None:
            whole = read_image(self._target(0)).geometry
        elif stage.kind == 'affine':
            whole = grid_of(placed, self.settings.spacing, self.settings.symmetric)
        else:
            whole = self._whole_grid()
        if stage.kind == 'affine':
            write_json(self.rounds / 'grid.json', {'shape': whole.shape, 'affine': whole.affine}, keep_nan=True)
        following = stage.within + 1 if stage.kind == 'deformable' else 0
        if stage.kind == 'affine' and stage.within + 1 < self.settings.affine_rounds:
            return whole
        factor = self.settings.factor(following)
        return whole if factor == 1 else whole.resampled([factor * step for step in whole.spacing])

    def _whole_grid(self) -> Geometry:
        from mmreg.utils.text_files import read_json

        content = read_json(self.rounds / 'grid.json')
        return Geometry(tuple(content['shape']), np.array(content['affine']))

    def _row(
        self, stage: TemplateRound, scans: int, failures: dict[str, str], change: float, before: Volume, after: Volume
    ) -> dict[str, Any]:
        from mmreg.io import resample_to

        old = resample_to(before, after.geometry).array
        front = foreground(after.array)
        level = float(np.abs(after.array[front]).mean()) if front.any() else 1.0
        return {
            'round': stage.number + 1,
            'kind': stage.kind,
            'spacing_mm': float(np.mean(before.geometry.spacing)),
            'scans': scans,
            'failed': len(failures),
            'shape_change_mm': change,
            'intensity_change_percent': 100 * float(np.abs(after.array - old)[front].mean()) / max(level, 1e-12),
        }

    def _is_last(self, stage: TemplateRound) -> bool:
        return stage.number + 1 == stage.of

    def _tidy(self, stage: TemplateRound) -> None:
        """Remove the displacements of the round before, which nothing needs any more."""
        for earlier in stages(self.settings)[: stage.number]:
            shutil.rmtree(self.rounds / earlier.name / 'scans', ignore_errors=True)


def build_template(
    scans: Sequence[Scan],
    out_dir: str | Path,
    settings: TemplateSettings | None = None,
    options: RunOptions | None = None,
    *,
    engine: Engine | None = None,
    told: Told = lambda stage, outcome: None,
    plugins: Sequence[str] = (),
    label_names: Mapping[int, str] | None = None,
) -> TemplateResult:
    """Build an unbiased template.

    Each round registers every scan to the present template (fixed), averages the scans in it, and moves the average by
    the inverse of the mean displacement, so that the template's shape is the mean of the scans' shapes. An affine
    round does the same with the log-Euclidean mean of the affines.

    Args:
        scans: Two or more, see :func:`mmreg.populations.scans.read_scans`.
        out_dir: Where everything goes; an interrupted run goes on there, scan by scan.
        settings: How.
        options: How pairs are registered; a preset chosen from the images by default.
        engine: Who registers the scans; this process by default.
        told: Called after each scan of each round.
        plugins: Files that register parts.
        label_names: Value -> name, for the page.

    Raises:
        InputError: one sentence for whatever is wrong with an input.

    Example:
        >>> import tempfile
        >>> from mmreg.io import write_volume
        >>> from mmreg.populations.scans import read_scans
        >>> folder, grid = Path(tempfile.mkdtemp()), np.indices((16, 16)) - 8.0
        >>> for name, shift in zip('ab', (0.0, 1.0)):
        ...     image = 100 * np.exp(-(((grid - shift) / 4) ** 2).sum(0)).astype(np.float32)
        ...     write_volume(folder / f'{name}.nii', Volume(image, Geometry.from_parts((16, 16))))
        >>> scans = read_scans([folder / 'a.nii', folder / 'b.nii'])
        >>> settings = TemplateSettings(rounds=0, affine_rounds=1, align='rigid')
        >>> build_template(scans, folder / 'out', settings).template.ndim
        2
    """
    settings, options = settings or TemplateSettings(), options or RunOptions()
    settings.check()
    options.check()
    who = engine or LocalEngine()
    builder = _Builder(scans, Path(out_dir), settings, options, who, told, tuple(plugins), label_names or {})
    return builder.run()


def _middling(scans: Sequence[Scan]) -> int:
    """Number of the scan of middling size, by the volume of its foreground; what cannot be read is told later.

    Raises:
        DataError: some are in Hounsfield units, and others are not.
    """
    sizes: list[tuple[float, int]] = []
    units: dict[str, bool] = {}
    for number, scan in enumerate(scans):
        try:
            volume = scan.read()
        except InputError:
            continue
        array = volume.array if volume.array.ndim == volume.ndim else volume.array[..., 0]
        sizes.append((float(foreground(array).sum()) * float(np.prod(volume.geometry.spacing)), number))
        units[scan.scan_id] = in_hounsfield_units(array)
    refuse_mixed(units, 'scans', 'since an average of several shows none of them')
    return sorted(sizes)[(len(sizes) - 1) // 2][1] if sizes else 0
