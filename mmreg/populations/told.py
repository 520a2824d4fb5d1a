"""What a group says of each of its registrations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mmreg.registration.cohort.outcome import Outcome

#: Called after each registration, with what it was for.
Told: TypeAlias = Callable[[str, Outcome], None]


def silent(what: str, outcome: Outcome) -> None:
    """Say nothing."""
