"""The files of one registered pair."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.io import (
    Landmarks,
    affine_transform,
    write_displacement_image,
    write_inverse_itk_transform,
    write_itk_transform,
    write_landmarks_voxel,
    write_landmarks_world,
    write_learn2reg_nifti,
    write_learn2reg_npz,
    write_transform,
    write_volume,
)
from mmreg.io.displacement import fine_step, reoriented_displacement
from mmreg.io.geometry import Geometry
from mmreg.io.label_tables import row_name
from mmreg.io.tables import COLUMNS, write_json, write_rows, write_table
from mmreg.io.voxel_type import in_type_of
from mmreg.registration.progress import ProgressCallback, tell
from mmreg.utils.memory import give_back

from .folder import MARKER, replacing_folder
from .headline import headline
from .rigidity import write_rigidity
from .values import ResultValues


def write_result(
    result: ResultValues,
    out_dir: str | Path,
    outputs: Collection[str] | None = None,
    also: Sequence[Callable[[Path], object]] = (),
    watch: ProgressCallback = None,
) -> Path:
    """Write a result into a folder, all of it or nothing.

    Files: ``warped.nii.gz``; ``displacement.nii.gz`` and
    ``inverse_displacement.nii.gz`` (ITK displacement fields, LPS mm, fixed grid); ``transform.h5``
    (ITK, fixed -> moving: resamples the moving image) and ``inverse_transform.h5``; ``affine.tfm`` where an affine was
    given; ``warped_labels.nii.gz``; ``uncertainty.nii.gz`` (mm) and ``warped_variance.nii.gz`` of a Monte-Carlo model;
    ``landmarks_in_moving.csv`` and ``landmarks_in_fixed.csv`` (RAS mm; ``*_voxel.csv`` in voxels);
    ``metrics.json``, ``metrics.csv``; ``rigidity.csv``, ``rigidity.json`` where asked for;
    ``overview.png``, ``thumbnail.png``; ``report.html``, a page that needs nothing else; ``plan.json``, written last.

    Args:
        result: What to write.
        out_dir: The folder; files of an earlier result in it are replaced, others are left alone.
        outputs: Some of :data:`OUTPUTS`; all by default.
        also: What else is written into the folder and belongs to the result, called with it.
        watch: Called before each of them.

    Raises:
        ConfigError: an unknown name in ``outputs``.
        DataError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmreg.apis import register
        >>> image = np.exp(-((np.indices((16, 16)) - 8.0) ** 2).sum(0) / 9), np.eye(3)
        >>> quick = {'optimisation.levels': [dict(spacing=1.0, iterations=1)]}
        >>> result = register(image, image, preset='generic', affine='none', cfg_options=quick)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_result(result, f'{folder}/out', outputs=['metrics'])
        ...     sorted(path.name for path in (Path(folder) / 'out').iterdir())
        ['metrics.csv', 'metrics.json', 'plan.json']
    """
    chosen = set(OUTPUTS if outputs is None else outputs)
    if chosen - set(OUTPUTS):
        raise ConfigError(
            f'outputs {sorted(chosen - set(OUTPUTS))} are unknown, expected some of {", ".join(OUTPUTS)}.'
        )
    out_dir = Path(out_dir)
    with replacing_folder(out_dir) as folder:
        names = [name for name in OUTPUTS if name in chosen]
        for number, name in enumerate(names):
            tell(watch, 'writing', name, number / (len(names) + len(also)))
            OUTPUTS[name](result, folder)
            give_back()
        for number, write in enumerate(also, len(names)):
            tell(watch, 'writing', 'what was given along', number / (len(names) + len(also)))
            write(folder)
        files = sorted(path.name for path in folder.iterdir()) + [MARKER]
        write_json(folder / MARKER, {**result.provenance, 'files': files})
    return out_dir


def _warped(result: ResultValues, folder: Path) -> None:
    write_volume(folder / 'warped.nii.gz', in_type_of(result.warped, result.moving.dtype))


def _displacement(result: ResultValues, folder: Path) -> None:
    step = fine_step(result.geometry)
    write_displacement_image(folder / 'displacement.nii.gz', result.displacement, result.geometry, step)
    if result.inverse is not None:
        path = folder / 'inverse_displacement.nii.gz'
        write_displacement_image(path, result.inverse.on_original_grid, result.geometry, result.inverse.step)


def _transforms(result: ResultValues, folder: Path) -> None:
    forward, backward = folder / 'transform.h5', folder / 'inverse_transform.h5'
    if not result.displacement.any():
        write_transform(forward, result.transform)
        if result.inverse is not None:
            write_transform(backward, result.transform.inverse())
    else:
        step = fine_step(result.geometry)
        write_itk_transform(forward, result.displacement, result.geometry, result.affine, step)
        inverse = result.inverse
        if inverse is not None:
            write_inverse_itk_transform(backward, inverse.displacement, inverse.geometry, result.affine, inverse.step)
    if result.affine is not None:
        write_transform(folder / 'affine.tfm', affine_transform(result.affine))


def _labels(result: ResultValues, folder: Path) -> None:
    if result.warped_labels is not None:
        write_volume(folder / 'warped_labels.nii.gz', result.warped_labels)


def _maps(result: ResultValues, folder: Path) -> None:
    for name, volume in result.maps.items():
        write_volume(folder / f'{name}.nii.gz', volume)


def _landmarks(result: ResultValues, folder: Path) -> None:
    _write_landmarks(folder / 'landmarks_in_moving', result.landmarks_in_moving, result.moving.geometry)
    _write_landmarks(folder / 'landmarks_in_fixed', result.landmarks_in_fixed, result.geometry)


def _write_landmarks(stem: Path, points: Landmarks | None, geometry: Geometry) -> None:
    if points is not None:
        write_landmarks_world(stem.with_suffix('.csv'), points.points, names=points.names)
        write_landmarks_voxel(stem.with_name(f'{stem.name}_voxel.csv'), points.in_voxels(geometry))


def _metrics(result: ResultValues, folder: Path) -> None:
    content = {'case_id': result.case_id, **result.metrics, 'warnings': result.warnings}
    if result.label_names:
        names = [row_name(row, result.label_names) for row in result.rows]
        lines = ((*row, name) for row, name in zip(result.rows, names))
        write_table(folder / 'metrics.csv', (*COLUMNS, 'name'), lines)
        content['label_names'] = {row.item: name for row, name in zip(result.rows, names) if name}
    else:
        write_rows(folder / 'metrics.csv', result.rows)
    write_json(folder / 'metrics.json', content)


def _overview(result: ResultValues, folder: Path) -> None:
    """In the orientation of the report, whatever that of the arrays."""
    from mmreg.visualization import overview_figure
    from mmreg.visualization.figure_marks import VIEW_CODES
    from mmreg.visualization.thumbnail import thumbnail

    from .report import labels_of

    codes = VIEW_CODES[result.view][: result.geometry.ndim]
    fixed, before, warped = (
        volume.reoriented(codes).channel_first() for volume in (result.fixed.volume, result.before, result.warped)
    )
    overview_figure(
        fixed,
        before,
        warped,
        reoriented_displacement(result.displacement, result.geometry, codes),
        folder / 'overview.png',
        spacing=result.geometry.reoriented(codes).spacing,
        title=headline(result.case_id, result.metrics),
        codes=codes,
        labels={name: volume.reoriented(codes).array for name, volume in labels_of(result, result.labels).items()},
    )
    thumbnail(fixed, warped, folder / 'thumbnail.png', result.geometry.reoriented(codes).spacing)


def _report(result: ResultValues, folder: Path) -> None:
    from .report import write_result_report

    write_result_report(result, folder, result.labels)


#: What can be written, by the names of :data:`mmreg.registration.options.OUTPUT_NAMES`.
OUTPUTS: dict[str, Callable[[ResultValues, Path], None]] = {
    'warped': _warped,
    'displacement': _displacement,
    'transforms': _transforms,
    'labels': _labels,
    'maps': _maps,
    'landmarks': _landmarks,
    'metrics': _metrics,
    'rigidity': write_rigidity,
    'overview': _overview,
    'report': _report,
}


def _npz(path: Path, result: ResultValues) -> None:
    write_learn2reg_npz(path, result.array_displacement(), note=str(result.provenance.get('request', '')))


def _nifti(path: Path, result: ResultValues) -> None:
    write_learn2reg_nifti(path, result.array_displacement(), str(result.provenance.get('request', '')))


#: Challenge layouts: ending and writer of the one file per pair.
LAYOUTS: dict[str, tuple[str, Callable[[Path, ResultValues], None]]] = {
    'lumir': ('.nii.gz', _nifti),
    'learn2reg': ('.nii.gz', _nifti),
    'oasis': ('.npz', _npz),
}
