"""One preset for all registrations of a template, so that all scans are treated alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mmreg.errors import InputError
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.inputs import read_pair
from mmreg.registration.presets.choice import PresetChoice, choose_preset

#: So many scans are looked at: a single strange one must not decide.
LOOKED_AT = 3


def common_preset(cases: Sequence[CohortCase]) -> PresetChoice | None:
    """The preset that suits most of the first few scans and their target, None where none of them can be read.

    Args:
        cases: The scans of a round, to be registered to its target.
    """
    found: list[PresetChoice] = []
    for case in cases:
        try:
            found.append(choose_preset(read_pair(case.files.only(()), case.case_id, channels=None)))
        except InputError:
            continue  # told when its turn comes
        if len(found) == LOOKED_AT:
            break
    if not found:
        return None
    name = Counter(choice.name for choice in found).most_common(1)[0][0]
    return next(choice for choice in found if choice.name == name)
