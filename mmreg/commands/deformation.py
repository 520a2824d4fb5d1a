"""Analyse deformation fields: smoothness, complexity, jumps across region borders; numbers and figures."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.evaluation.analysis import borders, deformation, figures
from mmreg.evaluation.challenge.fields import read_field
from mmreg.io import Geometry, Volume, read_displacement_image, read_geometry, read_labels, write_volume
from mmreg.io.tables import Row, write_json, write_rows
from mmreg.utils import console

from .shared.case_progress import track
from .shared.options import add_debug


def main(argv: Sequence[str] | None = None) -> int:
    """Analyse the given fields; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: analyse(options), debug=options.debug)


def analyse(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    if options.labels and len(options.labels) not in (1, len(options.fields)):
        raise ConfigError(
            f'--labels names {len(options.labels)} files, expected one, or one per field ({len(options.fields)}).'
        )
    labels = list(options.labels or [None])
    jobs = list(zip(options.fields, labels * (len(options.fields) if len(labels) == 1 else 1)))
    out = Path(options.out)
    rows: list[Row] = []
    for file, label_file in track(jobs, 'analysing'):
        rows += _one(Path(file), label_file, options, out)
    write_rows(out / 'deformation.csv', rows)
    whole = [row for row in rows if not row.item]
    write_json(out / 'deformation.json', {'settings': vars(options), 'rows': [row._asdict() for row in rows]})
    console.table(('field', 'measure', 'value'), [(r.case_id, r.metric, f'{r.value:.5g}') for r in whole])
    console.say(f'tables and figures are in {out}')


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


def _one(path: Path, label_file: str | None, options: argparse.Namespace, out: Path) -> list[Row]:
    field, geometry = read_any(path, options.reference)
    labels = read_labels(label_file).array if label_file else None
    if labels is not None and labels.shape != field.shape[1:]:
        raise DataError(f'{label_file}: found the shape {labels.shape}, expected {field.shape[1:]} as {path}.')
    name = _name(path)
    spacing = geometry.spacing
    tensor = torch.from_numpy(field)
    measures = deformation.smoothness(tensor, spacing, labels)
    inside = None if labels is None else torch.from_numpy(labels > 0)
    measures |= deformation.complexity(tensor, spacing, inside)
    if labels is not None:
        for pair, jumps in borders.border_jumps(field, labels, spacing).items():
            for key, value in (*dataclasses.asdict(jumps).items(), ('ratio', jumps.ratio)):
                measures.setdefault(f'jump_{key}', {})[pair] = float(value)
    determinants = deformation.jacobian.determinant_map(tensor, crop=0).numpy()
    maps = {'Jacobian determinant': determinants, 'jump [mm]': borders.jump_map(field, spacing)}
    figures.save(figures.field_maps(field, maps, labels, spacing), out / f'{name}.png')
    if options.maps:
        write_volume(out / f'{name}_determinant.nii.gz', Volume(determinants.astype(np.float32), geometry))
    return [Row(name, key, item, value) for key, found in measures.items() for item, value in found.items()]


def _name(path: Path) -> str:
    stem = path.name.split('.')[0]
    return path.parent.name if stem == 'displacement' else stem


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg deformation', description=__doc__)
    parser.add_argument('fields', nargs='+', help='ITK field images (displacement.nii.gz) or disp_* challenge files')
    parser.add_argument('-l', '--labels', nargs='+', help='label maps of the fixed images: one, or one per field')
    parser.add_argument('-r', '--reference', help='fixed image that gives challenge files their geometry')
    parser.add_argument('-o', '--out', required=True, help='folder for the tables and figures')
    parser.add_argument('--maps', action='store_true', help='write the Jacobian determinants as NIfTI too')
    add_debug(parser)
    return parser
