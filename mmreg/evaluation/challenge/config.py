"""What a challenge asks for: its evaluation config, a JSON file beside the ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.utils.text_files import read_json

METRICS = ('sdlogj', 'dice', 'hd95', 'tre', 'ndv')

#: Challenge -> names of its evaluation configs in the ground-truth folder.
CHALLENGES: dict[str, tuple[str, ...]] = {
    'learn2reg': ('evaluation_config.json',),
    'lumir': ('segmentation_evaluation_config.json', 'landmark_evaluation_config.json'),
}


@dataclass(frozen=True)
class Pair:
    """A fixed and a moving image, as paths relative to the ground-truth folder.

    Attributes:
        fixed: Path of the fixed image.
        moving: Path of the moving image.
        whole: Whether its file is named by the images, since subjects alone do not tell the pairs apart.
    """

    fixed: str
    moving: str
    whole: bool = field(default=False, compare=False)

    @property
    def case_id(self) -> str:
        """The challenge's name of the case, ``0001_0000<--0001_0001``."""
        return f'{_key(self.fixed)}<--{_key(self.moving)}'

    @property
    def field_stem(self) -> str:
        """Name of the displacement file without its ending, ``disp_<fixed subject>_<moving subject>``.

        With ``whole`` names also the images': ``disp_0011_0000_0011_0002``.
        """
        fixed, moving = _key(self.fixed), _key(self.moving)
        if self.whole:
            return f'disp_{fixed}_{moving}'
        return f'disp_{fixed.split("_")[0]}_{moving.split("_")[0]}'


@dataclass(frozen=True)
class Method:
    """One line of the score: its name, the metric, and what that needs (labels, folder of the landmarks)."""

    name: str
    metric: str
    labels: tuple[int, ...] = ()
    dest: str = ''


@dataclass(frozen=True)
class EvaluationConfig:
    """An evaluation config.

    Attributes:
        name: Of the task.
        pairs: Which pairs are scored.
        methods: What is measured on each.
        shape: Spatial shape of a full-resolution field.
        masked: Whether the regularity is measured inside the fixed image's mask.
        suffix: Added to the names of the cases (LUMIR scores the same pairs twice).
    """

    name: str
    pairs: tuple[Pair, ...]
    methods: tuple[Method, ...]
    shape: tuple[int, ...]
    masked: bool = False
    suffix: str = ''


def find_configs(ground_truth: Path, challenge: str | None = None) -> list[Path]:
    """The evaluation configs in a ground-truth folder.

    Raises:
        ConfigError: the folder holds none, or not all of the challenge.
    """
    for name in [challenge] if challenge else CHALLENGES:
        files = [ground_truth / file for file in CHALLENGES[name]]
        if all(file.is_file() for file in files):
            return files
    expected = ' or '.join(' and '.join(names) for names in CHALLENGES.values())
    raise ConfigError(f'{ground_truth} holds no evaluation config, expected {expected}, or one named by --config.')


def read_config(path: Path) -> EvaluationConfig:
    """Read an evaluation config.

    Raises:
        ConfigError: not JSON, a key is missing, or a metric is unknown.
    """
    content = read_json(path, 'an evaluation config', ConfigError)
    if not isinstance(content, Mapping):
        raise ConfigError(f'{path} holds a {type(content).__name__}, expected an evaluation config with keys.')
    missing = [key for key in ('evaluation_methods', 'expected_shape', 'eval_pairs') if key not in content]
    if missing:
        raise ConfigError(f'{path} lacks {", ".join(missing)}, expected an evaluation config.')
    pairs = named([_pair(entry, path) for entry in _entries(content, 'eval_pairs', path)], f'{path}: eval_pairs')
    return EvaluationConfig(
        name=str(content.get('task_name', content.get('name', path.stem))),
        pairs=tuple(pairs),
        methods=tuple(_method(entry, path) for entry in _entries(content, 'evaluation_methods', path)),
        shape=_shape(content['expected_shape'], path),
        masked=bool(content.get('masked_evaluation', False)),
        suffix='_landmark' if path.name.startswith('landmark') else '',
    )


def named(pairs: list[Pair], where: str) -> list[Pair]:
    """The pairs, with file names that tell them apart: by subject, where that does not do by image.

    Raises:
        ConfigError: two different pairs would still share a name.
    """
    twice: list[str] = []
    for whole in (False, True):
        found = [replace(pair, whole=whole) for pair in pairs]
        stems = [pair.field_stem for pair in found]
        if len({stem.casefold() for stem in stems}) == len(stems):
            return found
        twice = twice or sorted({stem for stem in stems if stems.count(stem) > 1})
    raise ConfigError(f'{where}: several pairs would be called {", ".join(twice[:8])}, expected a name for each.')


def _entries(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    if not isinstance(content[key], list):
        raise ConfigError(f'{path}: {key} is a {type(content[key]).__name__}, expected a list.')
    return content[key]


def _pair(entry: Any, path: Path) -> Pair:
    if not isinstance(entry, Mapping) or not {'fixed', 'moving'} <= set(entry):
        raise ConfigError(f'{path}: an entry of eval_pairs is {entry}, expected one with fixed and moving.')
    return Pair(str(entry['fixed']), str(entry['moving']))


def _method(entry: Any, path: Path) -> Method:
    if not isinstance(entry, Mapping) or entry.get('metric') not in METRICS:
        raise ConfigError(f'{path}: an evaluation method is {entry}, expected a metric of {METRICS}.')
    return Method(
        name=str(entry.get('name', entry['metric'])),
        metric=entry['metric'],
        labels=_labels(entry.get('labels', ()), path),
        dest=str(entry.get('dest', '')),
    )


def _labels(labels: Any, path: Path) -> tuple[int, ...]:
    if not isinstance(labels, list | tuple) or not all(type(label) is int for label in labels):
        raise ConfigError(f'{path}: labels is {str(labels)[:60]}, expected a list of whole numbers.')
    return tuple(labels)


def _shape(shape: Any, path: Path) -> tuple[int, ...]:
    valid = isinstance(shape, list | tuple) and len(shape) in (3, 4) and shape[-1] == len(shape) - 1
    valid = valid and all(type(n) is int and 0 < n < 1 << 20 for n in shape)
    if not valid:
        raise ConfigError(f'{path}: expected_shape is {shape}, expected the spatial shape followed by its length.')
    return tuple(int(n) for n in shape[:-1])


def _key(image: str) -> str:
    """``<subject>_<modality>`` of a Learn2Reg file name ``<task>_<subject>_<modality>.nii.gz``."""
    return '_'.join(Path(image).name.split('.')[0].split('_')[-2:])
