"""Golden cases of systems that are not in the project yet.

A case that no runner claims fails, unless it belongs to a system named here: then it is an expected failure and says
which system is missing. A line goes away with the commit that brings the system.
"""

from __future__ import annotations

import re

from .harness import Case

#: (pattern of family/case, system that has to come first)
PENDING: list[tuple[str, str]] = []


def pending(case: Case) -> str | None:
    """Why ``case`` cannot run yet, or None when it must."""
    for pattern, reason in PENDING:
        if re.match(pattern, case.id):
            return reason
    return None
