"""Whether scans of a group show the same thing: Hounsfield units are told apart from all other intensities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmreg.errors import DataError, listed

#: Below this an image has Hounsfield units, and its numbers stay.
_AIR = -500.0


def in_hounsfield_units(array: np.ndarray) -> bool:
    """Whether an image has the air of a CT.

    Example:
        >>> in_hounsfield_units(np.array([-1000.0, 40.0])), in_hounsfield_units(np.array([-3.0, 40.0]))
        (True, False)
    """
    known = array[np.isfinite(array)]
    return bool(known.size) and float(known.min()) <= _AIR


def refuse_mixed(units: Mapping[str, bool], what: str, why: str) -> None:
    """Refuse a group of which some are in Hounsfield units and others are not.

    Args:
        units: Name of a scan -> what :func:`in_hounsfield_units` says of it.
        what: What they are called.
        why: What cannot be done with them, the end of the sentence.

    Raises:
        DataError: naming the fewer ones.
    """
    sides = {side: [name for name, own in units.items() if own is side] for side in (True, False)}
    if all(sides.values()):
        few = min(sides, key=lambda side: len(sides[side]))
        told = 'in Hounsfield units' if few else 'without the air of a CT'
        found = f'{listed(sides[few])} {told} among {len(sides[not few])} others'
        raise DataError(f'{what}: found {found}, expected one contrast, {why}')
