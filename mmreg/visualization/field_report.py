"""All measures of one displacement field, as rows and as a figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.evaluation.analysis import borders, deformation
from mmreg.evaluation.analysis.figures import save
from mmreg.evaluation.challenge.fields import read_field
from mmreg.evaluation.functional.jacobian import determinant_map
from mmreg.io import Geometry, Volume, read_displacement_image, read_geometry, read_labels, write_volume
from mmreg.io.displacement import reoriented_displacement
from mmreg.io.tables import Row

from .field_figure import field_figure
from .figure_marks import VIEW_CODES


def report_field(
    path: Path,
    out: Path,
    labels: str | None = None,
    reference: str | None = None,
    maps: bool = False,
    view: str = 'neurological',
) -> list[Row]:
    """Rows of one field; its figure is written into a folder.

    Args:
        path: Which field, see :func:`read_any`.
        out: The folder.
        labels: Label map of the fixed image.
        reference: Fixed image of a challenge file.
        maps: Write the Jacobian determinants as NIfTI too.
        view: Which way the figure shows the patient.

    Raises:
        DataError: a file cannot be read, or labels on another grid.
    """
    field, geometry = read_any(path, reference)
    regions = read_labels(labels).array if labels else None
    if regions is not None and regions.shape != field.shape[1:]:
        raise DataError(f'{labels}: found the shape {regions.shape}, expected {field.shape[1:]} as {path}.')
    name = _name(path)
    spacing = geometry.spacing
    tensor = torch.from_numpy(field)
    measures = deformation.smoothness(tensor, spacing, regions)
    inside = None if regions is None else torch.from_numpy(regions > 0)
    measures |= deformation.complexity(tensor, spacing, inside)
    if regions is not None:
        for pair, jumps in borders.border_jumps(field, regions, spacing).items():
            for key, value in (*dataclasses.asdict(jumps).items(), ('ratio', jumps.ratio)):
                measures.setdefault(f'jump_{key}', {})[pair] = float(value)
    determinants = determinant_map(tensor, crop=0).numpy()
    codes = VIEW_CODES[view][: geometry.ndim]
    turned, steps = reoriented_displacement(field, geometry, codes), geometry.reoriented(codes).spacing
    figure = field_figure(
        turned,
        Volume(determinants, geometry).reoriented(codes).array,
        {'jump across voxels, mm': borders.jump_map(turned, steps)},
        None if regions is None else Volume(regions, geometry).reoriented(codes).array,
        steps,
        codes,
    )
    save(figure, out / f'{name}.png')
    if maps:
        write_volume(out / f'{name}_determinant.nii.gz', Volume(determinants.astype(np.float32), geometry))
    return [Row(name, key, item, value) for key, found in measures.items() for item, value in found.items()]


def read_any(path: Path, reference: str | None = None) -> tuple[np.ndarray, Geometry]:
    """A field ``(ndim, *S)`` in voxels with its grid, from an ITK field image (mm) or a challenge file (voxels).

    Args:
        path: Which file.
        reference: Fixed image of a challenge file, which has no geometry of its own; needed for half resolution.
    """
    grid = read_geometry(reference) if reference else None
    if path.suffix == '.npz' or path.name.startswith('disp_'):
        if grid is None:
            raise ConfigError(f'{path} has no geometry of its own, expected the fixed image as --reference.')
        return read_field(path, grid.shape).astype(np.float32), grid
    return read_displacement_image(path)


def _name(path: Path) -> str:
    stem = path.name.split('.')[0]
    return path.parent.name if stem == 'displacement' else stem
