"""Multi-atlas segmentation: atlases are registered to a scan, their labels warped and fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError, InputError, listed
from mmreg.evaluation.functional.similarity import foreground
from mmreg.io import Geometry, Volume, read_image, read_labels, resample_to, write_volume
from mmreg.io.tables import write_json, write_table
from mmreg.populations.contrast import in_hounsfield_units, refuse_mixed
from mmreg.populations.sampling import ALIKE, correlation
from mmreg.populations.scans import Scan, has_labels
from mmreg.populations.told import Told, silent
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.engines.base import Engine, LocalEngine
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.options import RunOptions
from mmreg.registration.results.folder import MARKER
from mmreg.version import __version__

from .fusion import Fused, Votes, disagreement, fuse, normalised
from .page import LABEL_COLUMNS, write_propagation_page
from .result import PropagationResult
from .settings import COMPARING, PropagationSettings

ATLAS_COLUMNS = ('scan_id', 'image', 'labels', 'similarity', 'used', 'agreement', 'reason')


@dataclass(frozen=True)
class Work:
    """What the registrations of one or many targets have in common.

    Attributes:
        settings: How labels are fused.
        options: How pairs are registered.
        engine: Who does it.
        told: Called after each registration.
        plugins: Files that register parts.
        label_names: Value -> name, for the pages.
    """

    settings: PropagationSettings
    options: RunOptions
    engine: Engine = field(default_factory=LocalEngine)
    told: Told = silent
    plugins: tuple[str, ...] = ()
    label_names: Mapping[int, str] = field(default_factory=dict)


def propagate(
    target: Scan,
    atlases: Sequence[Scan],
    out_dir: str | Path,
    settings: PropagationSettings | None = None,
    options: RunOptions | None = None,
    *,
    engine: Engine | None = None,
    told: Told = silent,
    plugins: Sequence[str] = (),
    label_names: Mapping[int, str] | None = None,
) -> PropagationResult:
    """Carry the labels of atlases to a scan.

    Args:
        target: The scan; its labels, where it has some, are not looked at.
        atlases: Scans with label maps.
        out_dir: Where everything goes; an interrupted run goes on there.
        settings: How labels are fused.
        options: How pairs are registered; a preset chosen from the images by default.
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
        >>> from mmreg.populations.scans import read_scans
        >>> folder, grid = Path(tempfile.mkdtemp()), np.indices((16, 16)) - 8.0
        >>> for name, shift in zip('ab', (0.0, 1.0)):
        ...     image = 100 * np.exp(-(((grid - shift) / 4) ** 2).sum(0)).astype(np.float32)
        ...     write_volume(folder / f'{name}.nii', Volume(image, Geometry.from_parts((16, 16))))
        ...     labels = Volume((image > 50).astype(np.int32), Geometry.from_parts((16, 16)))
        ...     write_volume(folder / f'{name}_labels.nii', labels)
        >>> target = read_scans([folder / 'a.nii'], least=1)[0]
        >>> atlases = read_scans([folder / 'b.nii'], [folder / 'b_labels.nii'], least=1)
        >>> found = propagate(target, atlases, folder / 'out', options=RunOptions(only='affine'))
        >>> list(found.fused)
        ['joint']
    """
    settings, options = settings or PropagationSettings(), options or RunOptions()
    settings.check()
    options.check()
    check_atlases(atlases)
    check_contrast(target, atlases, settings)
    work = Work(settings, options, engine or LocalEngine(), told, tuple(plugins), label_names or {})
    return carried(target, atlases, Path(out_dir), work)


def check_atlases(atlases: Sequence[Scan]) -> None:
    """Refuse atlases without labels.

    Raises:
        DataError: naming them.
    """
    if not has_labels(atlases):
        raise DataError('atlases: found no label maps, expected one of every atlas (--labels, or the column labels)')


def check_contrast(target: Scan | None, atlases: Sequence[Scan], settings: PropagationSettings) -> None:
    """Refuse CT among other images where intensities are compared; scans that cannot be read are told later.

    Raises:
        DataError: naming them.
    """
    comparing = [f'--fusion {name}' for name in settings.fusion if name in COMPARING]
    comparing += ['--select'] if settings.selects(len(atlases)) else []
    units: dict[str, bool] = {}
    for scan in (*([] if target is None else [target]), *atlases) if comparing else ():
        with suppress(InputError):
            units[scan.scan_id] = in_hounsfield_units(scan.read().array)
    verb = 'compares' if len(comparing) == 1 else 'compare'
    why = f'since {listed(comparing)} {verb} intensities; --fusion majority and staple do not'
    refuse_mixed(units, 'target and atlases', why)


def carried(target: Scan, atlases: Sequence[Scan], out_dir: Path, work: Work) -> PropagationResult:
    """One target; see :func:`propagate`."""
    lines: dict[str, dict[str, Any]] = {
        atlas.scan_id: {'scan_id': atlas.scan_id, 'image': str(atlas.image), 'labels': atlas.labels, 'used': 'no'}
        for atlas in atlases
    }
    affines: dict[str, str] = {}
    chosen = list(atlases)
    if work.settings.selects(len(atlases)):
        chosen, affines = _most_alike(target, atlases, out_dir, work, lines)
    done = _registered(target, chosen, out_dir / 'atlases', work, affines, lines)
    result = PropagationResult({}, list(lines.values()), out_dir)
    if work.engine.is_first:
        votes = _votes(target, done, out_dir / 'atlases')
        for name in work.settings.fusion:
            result.fused[name] = fuse(votes, name)
        _write(result, target, votes, done, lines, work)
    work.engine.wait()
    return result


def _most_alike(
    target: Scan, atlases: Sequence[Scan], out_dir: Path, work: Work, lines: dict[str, dict[str, Any]]
) -> tuple[list[Scan], dict[str, str]]:
    """The atlases whose images correlate best after an affine, and the files of their affines."""
    options = work.options
    affine = RunOptions(only='affine', device=options.device, seed=options.seed)
    done = _registered(target, atlases, out_dir / 'affine', replace(work, options=affine), {}, lines)
    image = target.read()
    front = foreground(image.array)
    for atlas in done:
        warped = read_image(out_dir / 'affine' / atlas.scan_id / 'warped.nii.gz', check=False).array
        lines[atlas.scan_id]['similarity'] = correlation(image.array[front], warped[front])
    order = sorted(done, key=lambda atlas: -np.nan_to_num(lines[atlas.scan_id]['similarity'], nan=-2.0))
    files = {atlas.scan_id: out_dir / 'affine' / atlas.scan_id / 'affine.tfm' for atlas in done}
    known = {name: str(path.absolute()) for name, path in files.items() if path.is_file()}
    return order[: work.settings.select], known


def _registered(
    target: Scan, atlases: Sequence[Scan], folder: Path, work: Work, affines: dict[str, str],
    lines: dict[str, dict[str, Any]],
) -> list[Scan]:  # fmt: skip
    """The atlases that could be registered; of the others, the reason is in their lines."""
    how = CohortSettings(folder, outputs=('warped', 'labels', 'transforms'), affine='auto', inverse=False)
    job = CohortJob(work.options, how, work.plugins)
    fixed = {key: value for key, value in target.source().items() if key != 'labels'}
    cases = [CohortCase(atlas.scan_id, fixed, atlas.source(), affines.get(atlas.scan_id)) for atlas in atlases]
    outcomes = work.engine.run(job, cases, lambda outcome: work.told(f'{target.scan_id}, {folder.name}', outcome))
    for outcome in outcomes:
        if outcome.status == 'failed':
            lines[outcome.case.case_id]['reason'] = outcome.reason
    failed = {outcome.case.case_id for outcome in outcomes if outcome.status == 'failed'}
    done = [atlas for atlas in atlases if atlas.scan_id not in failed]
    if not done:
        reasons = listed(dict.fromkeys(str(line.get('reason')) for line in lines.values()), '; ', 2)
        raise DataError(f'{folder}: found no atlas that could be registered, expected one or more ({reasons})')
    return done


def _votes(target: Scan, atlases: Sequence[Scan], folder: Path) -> Votes:
    image = target.read()
    warped = [read_image(folder / atlas.scan_id / 'warped.nii.gz', check=False).array for atlas in atlases]
    labels = [
        read_labels(folder / atlas.scan_id / 'warped_labels.nii.gz', check=False).array.astype(np.int32)
        for atlas in atlases
    ]
    own, *others = normalised([image.array, *warped])
    return Votes(own, np.stack(others), np.stack(labels))


def _write(
    result: PropagationResult, target: Scan, votes: Votes, atlases: Sequence[Scan], lines: dict[str, dict[str, Any]],
    work: Work,
) -> None:  # fmt: skip
    """Label maps, maps of disagreement, the table, the page, and the plan last."""
    grid, out_dir = target.geometry, result.out_dir
    first = result.fused[work.settings.fusion[0]]
    for position, atlas in enumerate(atlases):
        front = (votes.labels[position] != 0) | (first.labels != 0)
        agree = float((votes.labels[position] == first.labels)[front].mean()) if front.any() else float('nan')
        lines[atlas.scan_id] |= {'used': 'yes', 'agreement': agree}
        if 'similarity' not in lines[atlas.scan_id]:
            shown = foreground(votes.image)
            lines[atlas.scan_id]['similarity'] = correlation(votes.image[shown], votes.images[position][shown])
    for number, (name, fused) in enumerate(result.fused.items()):
        stem = '' if number == 0 else f'_{name}'
        write_volume(out_dir / f'labels{stem}.nii.gz', Volume(fused.labels, grid))
        write_volume(out_dir / f'disagreement{stem}.nii.gz', Volume(disagreement(fused), grid))
    write_table(out_dir / 'atlases.csv', ATLAS_COLUMNS, lines.values(), digits=6, nan='')
    labelled = [line for name, fused in result.fused.items() for line in _label_lines(name, fused, grid)]
    write_table(out_dir / 'labels.csv', LABEL_COLUMNS, labelled, digits=6)
    result.warnings += [
        f'{line["scan_id"]} looks different from the scan: it correlates with it by {line["similarity"]:.2f} only. '
        'Look at it; with another contrast, only majority and staple do not compare intensities.'
        for line in lines.values()
        if line['used'] == 'yes' and not line['similarity'] >= ALIKE
    ]
    write_propagation_page(result, target, labelled, work.label_names)
    plan = {'mmreg': __version__, 'target': str(target.image), 'settings': asdict(work.settings)}
    write_json(out_dir / MARKER, {**plan, 'options': work.options.described_values()})


def _label_lines(name: str, fused: Fused, grid: Geometry) -> list[dict[str, Any]]:
    """Per label its volume (area in 2-D, times 1 mm) and how far the atlases agree in it."""
    voxel = float(np.prod(grid.spacing)) / 1000
    found = []
    for value in np.unique(fused.labels[fused.labels != 0]).tolist():
        there = fused.labels == value
        share = float(np.clip(fused.share[there], 0, 1).mean())
        found.append({'fusion': name, 'label': value, 'volume_ml': float(there.sum() * voxel), 'agreement': share})
    return found


def on_grid_of(target: Scan, labels: str) -> np.ndarray:
    """A label map on the grid of a scan, ``S`` int."""
    return resample_to(read_labels(labels), target.geometry, 'nearest').array
