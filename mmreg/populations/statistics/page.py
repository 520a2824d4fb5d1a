"""The page of a cohort's statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.io import Volume, read_image
from mmreg.populations.page import Page, Picture, Section, named_lines, table_section, write_page
from mmreg.populations.pictures import slices_png

from .difference import GroupDifference
from .volumes import TemplateSpace

_LEVEL = 0.05
_VOLUMES = ('label', 'mean_volume_ml', 'sd_volume_ml', 'mean_log_jacobian', 'sd_log_jacobian')


def write_statistics_page(
    out_dir: Path,
    space: TemplateSpace,
    difference: GroupDifference | None,
    lines: Sequence[Mapping[str, Any]],
    names: Mapping[int, str],
) -> None:
    """Write ``index.html``: mean and spread of the logarithm of the Jacobian, regions, and where groups differ.

    Args:
        out_dir: Where it goes, and where the maps are.
        space: The template and its scans.
        difference: What the comparison of groups found; None without one.
        lines: Per scan and region its volume and mean.
        names: Value -> name of labels.
    """
    grid = space.template.geometry
    mean, spread = (read_image(out_dir / f'{name}.nii.gz', check=False) for name in ('mean', 'sd'))
    most, widest = (max(0.05, _nearly_all(volume.array[space.mask])) for volume in (mean, spread))
    pictures = [
        Picture(slices_png({'template': space.template}), "The template; the patient's right is on the right."),
        Picture(
            slices_png({'mean': mean}, 'RdBu_r', (-most, most)), 'Mean of the logarithm of the Jacobian determinant.'
        ),
        Picture(slices_png({'spread': spread}, 'magma', (0, widest)), 'Its standard deviation over the scans.'),
    ]
    sections = [Section('Local volumes', _EXPLAINED, pictures)]
    sections.append(table_section('Volumes of regions', _VOLUMES, named_lines(_over_scans(lines), names), _REGIONS))
    summary = f'{len(space.scan_ids)} scans in the space of their template.'
    if difference is not None:
        first, second = difference.names
        largest = max(3.0, _nearly_all(difference.t[space.mask]))
        found = Volume(np.where(difference.p < _LEVEL, difference.t, 0).astype(np.float32), grid)
        share = 100 * float((difference.p[space.mask] < _LEVEL).mean())
        maps = {'t': Volume(difference.t, grid), f'p < {_LEVEL}': found}
        text = (
            f'{first} ({difference.sizes[0]} scans) and {second} ({difference.sizes[1]}), {difference.permutations} '
            f'permutations: p < {_LEVEL} in {share:.2g} % of the voxels. Above 0: larger in {second}.'
        )
        caption = "Student's t, and where it is significant over all voxels together."
        sections.append(Section('Groups', text, [Picture(slices_png(maps, 'RdBu_r', (-largest, largest)), caption)]))
        regions = [{**line, f'mean_of_{first}': line['first_mean'], f'mean_of_{second}': line['second_mean']}
                   for line in difference.regions]  # fmt: skip
        columns = ('label', f'mean_of_{first}', f'mean_of_{second}', 'difference_percent', 't', 'p_fwe')
        sections.append(table_section('Regions', columns, named_lines(regions, names), _MEANS))
    write_page(out_dir / 'index.html', Page('Local volumes', summary, sections))


def _nearly_all(values: np.ndarray) -> float:
    """What 99 of 100 values stay below, whatever their sign: a few must not take all colours from the rest."""
    return float(np.percentile(np.abs(values), 99))


def _over_scans(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per region mean and standard deviation over the scans."""
    found: list[dict[str, Any]] = []
    for label in sorted({line['label'] for line in lines}):
        row: dict[str, Any] = {'label': label}
        for name, short in (('volume_ml', 'volume_ml'), ('mean_log_jacobian', 'log_jacobian')):
            values = np.array([line[name] for line in lines if line['label'] == label], np.float64)
            row |= {f'mean_{short}': float(values.mean()), f'sd_{short}': float(values.std(ddof=1))}
        found.append(row)
    return found


_REGIONS = 'Mean and standard deviation over the scans; the table regions.csv has every scan.'
_MEANS = 'Means of the logarithm of the Jacobian determinant; p is corrected for all regions.'
_EXPLAINED = 'Above 0 a scan is larger there than the template, the affine part included.'
