"""Discovery of golden cases and the table of their runners.

A case is one ``<family>/<case>.json`` below the folder that ``MMREG_GOLDEN`` names (default: the project's own copy,
``tests/golden/data``). A runner is a function decorated with :func:`runner`; it claims cases of one family by looking
at the case (its name or its JSON) and asserts everything the case stores. A case that no runner claims fails.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

OWN_COPY = Path(__file__).parent / 'data'

#: JSON files that belong to a case without being one.
_NO_CASE = ('_config.json',)


@dataclass(frozen=True)
class Case:
    """One golden case: ``info`` is its JSON, ``arrays`` its NPZ (empty when there is none)."""

    family: str
    name: str
    path: Path
    info: dict = field(compare=False, hash=False, repr=False, default_factory=dict)

    @property
    def id(self) -> str:
        return f'{self.family}/{self.name}'

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        file = self.path.with_suffix('.npz')
        if not file.exists():
            return {}
        with np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    @property
    def tolerance(self) -> dict[str, float]:
        """``rtol`` and ``atol`` of the case; 1e-4 each where the JSON says nothing."""
        return {'rtol': float(self.info.get('rtol', 1e-4)), 'atol': float(self.info.get('atol', 1e-4))}

    def close(self, key: str, actual: torch.Tensor | np.ndarray | float, expected: object = None, **tolerance) -> None:
        """Assert that ``actual`` equals the stored array ``key`` (or ``expected``) within the case's tolerance."""
        if expected is None:
            expected = self.arrays[key]
        if isinstance(actual, torch.Tensor):
            actual = actual.detach().cpu().numpy()
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert actual.size == expected.size, f'{self.id} {key}: shape {actual.shape}, expected {expected.shape}'
        np.testing.assert_allclose(
            actual.reshape(expected.shape).astype(np.float64),
            expected.astype(np.float64),
            err_msg=f'{self.id} {key}',
            **{**self.tolerance, **tolerance},
        )


Runner = Callable[[Case], None]
_RUNNERS: list[tuple[str, Callable[[Case], bool], Runner]] = []


def runner(family: str, matches: str | tuple[str, ...] | Callable[[Case], bool]) -> Callable[[Runner], Runner]:
    """Register a runner of ``family`` for the cases that ``matches``: name prefixes or a predicate."""

    def claims(case: Case) -> bool:
        return case.name.startswith(matches) if isinstance(matches, (str, tuple)) else matches(case)

    def decorate(function: Runner) -> Runner:
        _RUNNERS.append((family, claims, function))
        return function

    return decorate


def root() -> Path:
    """The folder the cases come from."""
    return Path(os.environ.get('MMREG_GOLDEN') or OWN_COPY).resolve()


def cases(folder: Path | None = None) -> list[Case]:
    """All cases below ``folder``, sorted by id."""
    folder = folder or root()
    found = []
    for path in sorted(folder.glob('*/*.json')):
        if not path.name.endswith(_NO_CASE):
            found.append(Case(path.parent.name, path.stem, path, json.loads(path.read_text(encoding='utf-8'))))
    return found


def load_runners() -> None:
    """Import every module of ``tests.golden.runners`` once."""
    from . import runners

    for module in pkgutil.iter_modules(runners.__path__):
        importlib.import_module(f'{runners.__name__}.{module.name}')


def find_runner(case: Case) -> Runner | None:
    """The one runner that claims ``case``; an error when two do."""
    load_runners()
    found = [function for family, claims, function in _RUNNERS if family == case.family and claims(case)]
    assert len(found) < 2, f'{case.id} is claimed by {[f.__module__ for f in found]}'
    return found[0] if found else None
