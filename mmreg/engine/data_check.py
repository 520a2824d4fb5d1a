"""What the evaluators of a run will ask for, against what the data have: said before the first step, all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader

from mmreg.errors import ConfigError

#: Entry of an image's files -> what it becomes in a sample of a pair, after ``fixed_`` or ``moving_``.
_FILES = ('labels', 'mask', 'landmarks', 'prompt')


@dataclass(frozen=True)
class Lack:
    """A metric that cannot measure some pairs.

    Attributes:
        metric: Its name.
        missing: Entries of a sample that are not there.
        pairs: How many pairs lack one of them.
        total: Of how many pairs.
    """

    metric: str
    missing: tuple[str, ...]
    pairs: int
    total: int

    def __str__(self) -> str:
        names = ' and '.join(self.missing)
        if self.pairs == self.total:
            return f'{self.metric}: none of the {self.total} pairs has {names}, so it is not measured'
        return f'{self.metric}: {self.pairs} of {self.total} pairs have no {names} and are left out'


def check_evaluator(loader: DataLoader[Any], metrics: Iterable[Any]) -> list[Lack]:
    """What ``metrics`` cannot measure on the pairs of ``loader``; from now on they leave such pairs out.

    Nothing is decoded but the first sample, which tells what files do not (a known displacement, extra inputs).

    Raises:
        ConfigError: a metric that was told to refuse such pairs (``incomplete='error'``) would meet some.
    """
    dataset: Any = loader.dataset
    metrics = [metric for metric in metrics if hasattr(metric, 'needs')]
    if not any(metric.needs() for metric in metrics):
        return []
    pairs = _entries_of_pairs(dataset)
    lacks = []
    for metric in metrics:
        missing = tuple(name for name in metric.needs() if not all(name in pair for pair in pairs))
        if not missing:
            continue
        count = sum(not pair.issuperset(missing) for pair in pairs)
        lack = Lack(metric.name, missing, count, len(pairs))
        if metric.incomplete == 'error':
            raise ConfigError(f"{type(metric).__name__}(incomplete='error') would stop the evaluation: {lack}.")
        metric.incomplete = 'skip'
        lacks.append(lack)
    return lacks


def _entries_of_pairs(dataset: Any) -> list[set[str]]:
    """What the sample of every pair will carry: by the files of its images, else as the first sample does."""
    first, files = _first_keys(dataset), _files_of_pairs(dataset)
    if files is None:
        return [first] * len(dataset)
    of_files = [
        {f'{role}_{entry}' for role, source in pair.items() for entry in _FILES if source.get(entry)} for pair in files
    ]
    # What no pair has a file for may still be made on the way (simulated labels), and what the first pair has a file
    # for may be dropped on the way: there the sample knows.
    known = set().union(*of_files) - (of_files[0] - first)
    return [(first - known) | (found & known) for found in of_files]


def _files_of_pairs(dataset: Any) -> list[dict[str, Any]] | None:
    """The files of both images of every pair; None where the data set does not list them or draws its partners."""
    sources = getattr(dataset, 'sources', None)
    if not sources or not hasattr(dataset, 'get_data_info'):
        return None
    found = []
    for number in range(len(dataset)):
        info = dataset.get_data_info(number)
        fixed, moving = info.get('fixed'), info.get('moving')
        if not isinstance(fixed, int) or not isinstance(moving, int):
            return None
        found.append({'fixed': sources[fixed], 'moving': sources[moving]})
    return found


def _first_keys(dataset: Any) -> set[str]:
    """Entries of the first sample: its inputs and what its data sample carries."""
    sample = dataset[0]
    if not isinstance(sample, Mapping):
        return set()
    inputs, carried = sample.get('inputs') or {}, sample.get('data_samples')
    keys = carried.keys() if carried is not None and hasattr(carried, 'keys') else ()
    return {key for key, value in inputs.items() if value is not None} | set(keys)
