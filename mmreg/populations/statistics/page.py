"""The page of a cohort's statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmreg.io import Volume, read_image
from mmreg.populations.page import Page, Picture, Section, table_section, write_page
from mmreg.populations.pictures import slices_png

from .difference import GroupDifference
from .volumes import TemplateSpace

_LEVEL = 0.05


def write_statistics_page(out_dir: Path, space: TemplateSpace, difference: GroupDifference | None) -> None:
    """Write ``index.html``: mean and spread of the logarithm of the Jacobian, and where groups differ."""
    grid = space.template.geometry
    mean, spread = (read_image(out_dir / f'{name}.nii.gz', check=False) for name in ('mean', 'sd'))
    most = max(0.05, float(np.percentile(np.abs(mean.array[space.mask]), 99)))
    pictures = [
        Picture(slices_png({'template': space.template}), "The template; the patient's right is on the right."),
        Picture(
            slices_png({'mean': mean}, 'RdBu_r', (-most, most)), 'Mean of the logarithm of the Jacobian determinant.'
        ),
        Picture(slices_png({'spread': spread}, 'magma', (0, max(most, 0.1))), 'Its standard deviation over the scans.'),
    ]
    sections = [Section('Local volumes', _EXPLAINED, pictures)]
    summary = f'{len(space.scan_ids)} scans in the space of their template.'
    if difference is not None:
        first, second = difference.names
        largest = max(3.0, float(np.abs(difference.t).max()))
        found = Volume(np.where(difference.p < _LEVEL, difference.t, 0).astype(np.float32), grid)
        share = 100 * float((difference.p[space.mask] < _LEVEL).mean())
        maps = {'t': Volume(difference.t, grid), f'p < {_LEVEL}': found}
        text = (
            f'{first} ({difference.sizes[0]} scans) and {second} ({difference.sizes[1]}), {difference.permutations} '
            f'permutations: p < {_LEVEL} in {share:.2g} % of the voxels. Above 0: larger in {second}.'
        )
        caption = "Student's t, and where it is significant over all voxels together."
        sections.append(Section('Groups', text, [Picture(slices_png(maps, 'RdBu_r', (-largest, largest)), caption)]))
        columns = ('label', 'first_mean', 'second_mean', 'difference_percent', 't', 'p_fwe')
        sections.append(table_section('Regions', columns, difference.regions))
    write_page(out_dir / 'index.html', Page('Local volumes', summary, sections))


_EXPLAINED = 'Above 0 a scan is larger there than the template, the affine part included.'
