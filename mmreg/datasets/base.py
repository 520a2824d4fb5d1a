"""The one base class of all data sets: images, which two of them make a pair, and what happens to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, Compose
from mmengine.logging import print_log

from mmreg.errors import ConfigError, DataError
from mmreg.registry import TRANSFORMS

from .cache import Volumes, build_volumes
from .loader import Loader
from .pairing import PAIRINGS, IndexPair
from .seeding import decode_index, seeded_sample
from .transforms.roles import FIXED, MOVING, SUBJECT, Group
from .verify import Problem, report, verify_sources

#: A subject's files: ``id``, ``image`` and, where there are, ``labels``, ``mask``, ``landmarks`` and ``prompt`` (labels
#: that only the network sees); plain strings.
Source = dict[str, Any]

#: Keys of a loaded image that do not go into a pair.
_OWN = ('id', SUBJECT.image)


@dataclass
class Index:
    """What a data set consists of, before any volume is decoded.

    Attributes:
        sources: Files of every image, in a fixed order.
        pairs: Listed pairs; None where the data set's ``pairing`` makes them.
        problems: What was found wrong while reading the lists.
    """

    sources: list[Source]
    pairs: list[IndexPair] | None = None
    problems: list[Problem] = field(default_factory=list)


class PairDataset(BaseDataset):
    """Pairs of images; subclasses say where the files are (:meth:`index`).

    A single image goes through ``preprocess`` (loading, intensity, grid), which is deterministic and may be cached; two
    of them make a pair, which goes through ``pipeline`` (augmentation, packing). Everything random in a sample follows
    from (seed, draw, index), see :mod:`mmreg.datasets.seeding`.

    Args:
        ann_file: List file below ``data_root``, where the data set has one.
        data_root: Folder of the data.
        pairing: 'random' (every subject once as moving, the fixed one drawn), 'ordered' (all ordered pairs), 'next'
            (each with the following one), 'exchange' (listed pairs, directions exchanged at random), 'both' (listed
            pairs in both directions) or 'listed'; the data set's own choice when None.
        preprocess: Transforms of a single image; the data set's own when None.
        pipeline: Transforms of a pair.
        cache: None, 'memory' or 'disk', or a dict with further options, see :func:`mmreg.datasets.cache.build_volumes`.
        checks: 'headers' (files exist, headers agree), 'exist', 'volumes' (every file is decoded) or None.
        same_shape: Refuse pairs of different shapes before training.
        label_sets: 'overlap' (fixed and moving share at least one label), 'equal' or 'any'.
        classes: Labels that may occur besides 0; anything goes when None.
        limit: Keep the first so many subjects (an integer) or that share of them (a float).
        seed: Seed of pairing and augmentation; the run's own when None.
        kwargs: Further arguments of MMEngine's ``BaseDataset``.

    Raises:
        DataError: with all missing and inconsistent files at once.
    """

    PAIRING = 'listed'
    #: Files whose paths the data set makes up by itself: where no image of a split has them (the labels of a test set
    #: that are not given away), they are left out; where only some have them, the others are missing.
    DERIVED: tuple[str, ...] = ()
    PREPROCESS: Sequence[dict[str, Any]] = (dict(type='LoadVolumes'),)

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        pairing: str | None = None,
        preprocess: Sequence[dict[str, Any] | Callable[..., Any]] | None = None,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (dict(type='PackRegInputs'),),
        cache: str | dict[str, Any] | None = None,
        checks: str | None = 'headers',
        same_shape: bool = True,
        label_sets: str = 'overlap',
        classes: Sequence[int] | None = None,
        limit: int | float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        self.pairing = _one_of('pairing', pairing or self.PAIRING, tuple(PAIRINGS))
        self.checks = _one_of('checks', checks, (None, 'exist', 'headers', 'volumes'))
        self.label_sets = _one_of('label_sets', label_sets, ('overlap', 'equal', 'any'))
        self.cache = cache
        self.same_shape = same_shape
        self.classes = None if classes is None else frozenset(int(c) for c in classes)
        self.limit = limit
        self._own_seed = seed is not None
        self.seed = seed or 0
        self.sources: list[Source] = []
        self.preprocess = compose(self.PREPROCESS if preprocess is None else preprocess)
        self._volumes: Volumes | None = None
        super().__init__(
            ann_file=ann_file, data_root=str(data_root), data_prefix={}, pipeline=list(compose(pipeline)), **kwargs
        )

    # What a subclass says ----------------------------------------------------------------------------------------

    def index(self) -> Index:
        """Sources, listed pairs and problems found on the way; decodes nothing."""
        raise NotImplementedError

    def load_source(self, source: Source) -> dict[str, Any]:
        """One image and what belongs to it, after ``preprocess``: a flat dict of arrays."""
        subject = dict(source)
        for transform in self.preprocess:
            subject = transform(subject)
        return subject

    def make_pair(self, fixed: dict[str, Any], moving: dict[str, Any]) -> dict[str, Any]:
        """The flat dict of a pair from two loaded images: every entry ``x`` becomes ``fixed_x`` and ``moving_x``."""
        pair: dict[str, Any] = {}
        for group, subject in ((FIXED, fixed), (MOVING, moving)):
            pair[group.image] = subject[SUBJECT.image]
            entries = ((key, value) for key, value in subject.items() if key not in _OWN and value is not None)
            pair |= {f'{group.prefix}{key}': value for key, value in entries}
        return pair

    def adapt_pair(self, sample: dict[str, Any], info: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """What is left to do before ``pipeline``, such as to take a slice; ``info`` is the pair's list entry."""
        return sample

    # MMEngine's side ---------------------------------------------------------------------------------------------

    def load_data_list(self) -> list[dict[str, Any]]:
        """All pairs as small dicts; refuses missing and inconsistent files, all at once.

        Raises:
            DataError: listing them by path.
        """
        index = self.index()
        self._drop_absent(index.sources)
        sources = self._limited(index.sources) if index.pairs is None else index.sources
        pairs = PAIRINGS[self.pairing](sources, index.pairs)
        problems = list(index.problems)
        if self.checks:
            problems += verify_sources(sources, pairs, headers=self.checks != 'exist', same_shape=self.same_shape)
        if not pairs and not problems:
            problems.append(Problem(self._place(), 'no pair of images was found'))
        report(type(self).__name__, self.data_root, problems)
        self.sources = sources
        self._volumes = build_volumes(sources, Loader(self._load_checked, self.preprocess), self.cache)
        if self.checks == 'volumes':
            self.verify_volumes()
        return [pair.as_dict() for pair in pairs]

    def verify_volumes(self) -> None:
        """Decode every file once and refuse the data set with all that is wrong.

        Raises:
            DataError: listing the files.
        """
        problems = []
        for source in self.sources:
            try:
                self._load_checked(source)
            except DataError as error:
                problems.append(Problem('', str(error)))
        report(type(self).__name__, self.data_root, problems)

    def set_run_seed(self, seed: int) -> None:
        """Called by the samplers: the run's seed, unless the data set has one of its own."""
        if not self._own_seed:
            self.seed = seed

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Sample ``index``, or what a seeded sampler yields: ``draw * len(self) + index``."""
        self.full_init()
        draw, index = decode_index(index, len(self))
        with seeded_sample(self.seed, draw, index):
            return self.prepare_data(index)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def prepare_data(self, idx: int) -> dict[str, Any]:
        """Choose, load, join and transform pair ``idx``."""
        rng = np.random.default_rng(np.random.randint(2**31))
        info = self.get_data_info(idx)
        fixed_index, moving_index = IndexPair.from_dict(info).choose(len(self.sources), rng)
        fixed, moving = self.volume(fixed_index), self.volume(moving_index)
        sample = self.make_pair(fixed, moving)
        sample['case_id'] = info['case_id'] or f'{self.sources[fixed_index]["id"]}_{self.sources[moving_index]["id"]}'
        sample = self.adapt_pair(sample, info, rng)
        self._check_labels(sample)
        sample['rng'] = rng
        return self.pipeline(sample)

    # Inside ------------------------------------------------------------------------------------------------------

    def volume(self, index: int) -> dict[str, Any]:
        """Image ``index`` of ``sources`` after ``preprocess``, from the cache where there is one."""
        assert self._volumes is not None
        return self._volumes[index]

    def _load_checked(self, source: Source) -> dict[str, Any]:
        subject = self.load_source(source)
        values = subject.get('label_values')
        if values is not None and self.classes is not None:
            strange = sorted({int(v) for v in np.asarray(values)} - self.classes - {0})
            if strange:
                raise DataError(
                    f'{source.get("labels") or source["id"]} holds the labels {_short(strange)}, '
                    f'expected only {_short(sorted(self.classes))}.'
                )
        return subject

    def _check_labels(self, sample: dict[str, Any]) -> None:
        fixed, moving = (_label_set(sample, group) for group in (FIXED, MOVING))
        if self.label_sets == 'any' or fixed is None or moving is None:
            return
        if self.label_sets == 'equal' and fixed != moving:
            hint = " (set label_sets='overlap' if a structure may be missing)"
        elif not fixed & moving:
            hint = ''
        else:
            return
        raise DataError(
            f'{sample["case_id"]}: the fixed labels {_short(sorted(fixed))} ({sample.get("fixed_path")}) and the '
            f'moving labels {_short(sorted(moving))} ({sample.get("moving_path")}) differ, expected the same label '
            f'set{hint}.'
        )

    def _drop_absent(self, sources: list[Source]) -> None:
        """Take away what is :attr:`DERIVED` and nowhere."""
        for key in self.DERIVED:
            named = [source for source in sources if source.get(key)]
            if named and not any(Path(source[key]).exists() for source in named):
                for source in named:
                    del source[key]
                print_log(f'{type(self).__name__}: no image below {self.data_root} has {key}.', logger='current')

    def _limited(self, sources: list[Source]) -> list[Source]:
        if self.limit is None:
            return sources
        count = int(self.limit * len(sources)) if isinstance(self.limit, float) else self.limit
        return sources[:count]

    def _place(self) -> str:
        return self.ann_file or self.data_root or type(self).__name__


def compose(transforms: Sequence[dict[str, Any] | Callable[..., Any]]) -> list[Callable[..., Any]]:
    """Transforms built from their configs."""
    return list(Compose([TRANSFORMS.build(dict(t)) if isinstance(t, dict) else t for t in transforms]).transforms)


def _one_of(key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ConfigError(f'{key}={value!r} of a dataset is unknown, expected one of {allowed}.')
    return value


def _label_set(sample: dict[str, Any], group: Group) -> set[int] | None:
    values = sample.get(f'{group.prefix}label_values')
    return None if values is None else {int(v) for v in np.asarray(values)} - {0}


def _short(values: Sequence[int], most: int = 12) -> str:
    shown = ', '.join(str(v) for v in values[:most])
    return f'[{shown}{", ..." if len(values) > most else ""}]'
