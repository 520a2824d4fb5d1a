"""What the published code returns for known weights and inputs, case by case."""

import pytest

from . import harness
from .pending import pending

CASES = harness.cases()


@pytest.mark.parametrize('case', [pytest.param(c, id=c.id) for c in CASES])
def test_golden(case: harness.Case) -> None:
    run = harness.find_runner(case)
    if run is None:
        reason = pending(case)
        if reason:
            pytest.xfail(reason)
        pytest.fail(f'no runner claims the golden case {case.id} ({case.path})')
    run(case)


def test_there_are_cases() -> None:
    assert CASES, f'no golden case below {harness.root()}'
