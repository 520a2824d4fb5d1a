"""Local volumes of a cohort: maps of mean and spread, and the difference of two groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError, listed
from mmreg.io import Volume, write_volume
from mmreg.io.csv_text import read_plain_text, split_rows
from mmreg.io.tables import write_json, write_table
from mmreg.registration.results.folder import MARKER
from mmreg.utils.leftovers import temporary_folder
from mmreg.version import __version__

from .difference import GroupDifference
from .page import write_statistics_page
from .permutation import two_groups
from .volumes import TemplateSpace, Told, read_jacobian, silent, write_jacobians

COMPARED_COLUMNS = ('label', 'first_mean', 'second_mean', 'difference_percent', 't', 'p_fwe')


def cohort_statistics(
    space: TemplateSpace,
    out_dir: str | Path,
    groups: Mapping[str, str] | None = None,
    *,
    smooth_mm: float = 0.0,
    permutations: int = 1000,
    seed: int = 0,
    label_names: Mapping[int, str] | None = None,
    told: Told = silent,
) -> GroupDifference | None:
    """Write maps and tables of the local volumes of a cohort.

    Args:
        space: The template and its scans.
        out_dir: Where they go.
        groups: Scan -> group, of two groups; None: no comparison.
        smooth_mm: Standard deviation of a Gaussian on the logarithms, mm.
        permutations: Of the test.
        seed: Of the test.
        label_names: Value -> name, for the page.
        told: Called with what is done, how much of it, and how much there is.

    An interrupted run goes on with the maps that are there.

    Raises:
        DataError: groups that cannot be compared.
        ConfigError: numbers that make no sense.

    Example:
        >>> import tempfile
        >>> from mmreg.io import Geometry, affine_transform, write_transform
        >>> folder = Path(tempfile.mkdtemp())
        >>> disk = (np.hypot(*(np.indices((16, 16)) - 8.0)) < 5).astype(np.float32)
        >>> write_volume(folder / 'template.nii.gz', Volume(disk, Geometry.from_parts((16, 16))))
        >>> for name, scale in zip('abcd', (1.0, 1.01, 1.2, 1.21)):
        ...     place = folder / 'transforms' / name / 'transform.h5'
        ...     write_transform(place, affine_transform(np.diag([scale, scale, 1.0])))
        >>> groups = {'a': 'small', 'b': 'small', 'c': 'tall', 'd': 'tall'}
        >>> cohort_statistics(TemplateSpace.read(folder), folder / 'out', groups).permutations
        6
    """
    if permutations < 20 or not 0 <= smooth_mm < 1e4:
        raise ConfigError(f'permutations is {permutations} and smooth {smooth_mm:g}, expected 20 and 0 mm or more.')
    members = None if groups is None else _members(space.scan_ids, groups)
    out_dir = Path(out_dir)
    lines = write_jacobians(space, out_dir, smooth_mm, told)
    found = None
    if members is not None:
        found = _compared(space, out_dir, members, lines, permutations, seed, told)
        grid = space.template.geometry
        write_volume(out_dir / 't.nii.gz', Volume(found.t, grid))
        write_volume(out_dir / 'p_fwe.nii.gz', Volume(found.p, grid))
        write_table(out_dir / 'groups.csv', COMPARED_COLUMNS, found.regions, digits=6)
    write_statistics_page(out_dir, space, found, lines, label_names or {})
    plan = {'mmreg': __version__, 'template': str(space.folder), 'smooth_mm': smooth_mm, 'seed': seed}
    write_json(out_dir / MARKER, {**plan, 'permutations': permutations, 'scans': list(space.scan_ids)})
    return found


def read_groups(path: str | Path) -> dict[str, str]:
    """Scan -> group from a table with the columns ``scan_id`` and ``group``.

    Raises:
        DataError: unreadable, or without these columns.
    """
    rows = split_rows(read_plain_text(path, 'a table of groups'), path)
    header = rows[0][1] if rows else []
    if 'scan_id' not in header or 'group' not in header:
        raise DataError(f'{path}: found the columns {header}, expected scan_id and group')
    places = header.index('scan_id'), header.index('group')
    found: dict[str, str] = {}
    for number, cells in rows[1:]:
        if len(cells) <= max(places) or not all(cells[place] for place in places):
            raise DataError(f'{path}: found no scan_id and group in row {number}, expected both')
        if cells[places[0]] in found:
            raise DataError(f'{path}: found {cells[places[0]]!r} twice, expected each scan once')
        found[cells[places[0]]] = cells[places[1]]
    return found


def _members(scan_ids: Sequence[str], groups: Mapping[str, str]) -> dict[str, str]:
    missing = [name for name in scan_ids if name not in groups]
    if missing:
        raise DataError(f'groups: found no group of {listed(missing)}, expected one of every scan')
    members = {name: groups[name] for name in scan_ids}
    sizes = {name: list(members.values()).count(name) for name in sorted(set(members.values()))}
    if len(sizes) != 2 or min(sizes.values()) < 2:
        raise DataError(f'groups: found {sizes}, expected two groups of two scans or more')
    return members


def _compared(
    space: TemplateSpace, out_dir: Path, members: Mapping[str, str], lines: Sequence[Mapping[str, Any]],
    permutations: int, seed: int, told: Told,
) -> GroupDifference:  # fmt: skip
    first, second = sorted(set(members.values()))
    belongs = np.array([members[name] == second for name in space.scan_ids])
    inside = np.flatnonzero(space.mask.reshape(-1))
    with temporary_folder(out_dir, 'values') as folder:
        kept = np.lib.format.open_memmap(folder / 'values.npy', 'w+', np.float32, (len(space.scan_ids), len(inside)))
        for number, name in enumerate(space.scan_ids):
            kept[number] = read_jacobian(out_dir, name).reshape(-1)[inside]
        t, p, count = two_groups(
            kept.__getitem__, len(inside), belongs, permutations, seed,
            lambda done: told('voxels compared', done, len(inside)),
        )  # fmt: skip
    shape = space.template.geometry.shape
    maps = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    for array, values in zip(maps, (t, p)):
        array.reshape(-1)[inside] = values
    regions = _regions(lines, space.scan_ids, belongs, permutations, seed)
    sizes = int((~belongs).sum()), int(belongs.sum())
    return GroupDifference((first, second), sizes, maps[0], maps[1], regions, count)


def _regions(
    lines: Sequence[Mapping[str, Any]], scan_ids: Sequence[str], belongs: np.ndarray, permutations: int, seed: int
) -> list[dict[str, Any]]:
    """Regions compared, corrected for their number."""
    labels = sorted({line['label'] for line in lines})
    known = {(line['scan_id'], line['label']): line['mean_log_jacobian'] for line in lines}
    values = np.array([[known[name, label] for label in labels] for name in scan_ids])
    t, p, _ = two_groups(values.__getitem__, len(labels), belongs, permutations, seed)
    means = values[~belongs].mean(0), values[belongs].mean(0)
    return [
        {
            'label': label,
            'first_mean': float(means[0][n]),
            'second_mean': float(means[1][n]),
            'difference_percent': float(100 * np.expm1(means[1][n] - means[0][n])),
            't': float(t[n]),
            'p_fwe': float(p[n]),
        }
        for n, label in enumerate(labels)
    ]
