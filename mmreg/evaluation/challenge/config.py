"""What a challenge asks for: its evaluation config, a JSON file beside the ground truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError

METRICS = ('sdlogj', 'dice', 'hd95', 'tre', 'ndv')

#: Challenge -> names of its evaluation configs in the ground-truth folder.
CHALLENGES: dict[str, tuple[str, ...]] = {
    'learn2reg': ('evaluation_config.json',),
    'lumir': ('segmentation_evaluation_config.json', 'landmark_evaluation_config.json'),
}


@dataclass(frozen=True)
class Pair:
    """A fixed and a moving image, as paths relative to the ground-truth folder."""

    fixed: str
    moving: str

    @property
    def case_id(self) -> str:
        """The challenge's name of the case, ``0001_0000<--0001_0001``."""
        return f'{_key(self.fixed)}<--{_key(self.moving)}'

    @property
    def field_stem(self) -> str:
        """Name of the displacement file without its ending, ``disp_<fixed subject>_<moving subject>``."""
        return f'disp_{_key(self.fixed).split("_")[0]}_{_key(self.moving).split("_")[0]}'


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
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise ConfigError(f'{path} does not exist, expected an evaluation config.') from error
    except (ValueError, OSError) as error:
        raise ConfigError(f'{path} is not JSON ({error}), expected an evaluation config.') from error
    if not isinstance(content, Mapping):
        raise ConfigError(f'{path} holds a {type(content).__name__}, expected an evaluation config with keys.')
    missing = [key for key in ('evaluation_methods', 'expected_shape', 'eval_pairs') if key not in content]
    if missing:
        raise ConfigError(f'{path} lacks {", ".join(missing)}, expected an evaluation config.')
    return EvaluationConfig(
        name=str(content.get('task_name', content.get('name', path.stem))),
        pairs=tuple(_pair(entry, path) for entry in content['eval_pairs']),
        methods=tuple(_method(entry, path) for entry in content['evaluation_methods']),
        shape=_shape(content['expected_shape'], path),
        masked=bool(content.get('masked_evaluation', False)),
        suffix='_landmark' if path.name.startswith('landmark') else '',
    )


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
        labels=tuple(int(label) for label in entry.get('labels', ())),
        dest=str(entry.get('dest', '')),
    )


def _shape(shape: Any, path: Path) -> tuple[int, ...]:
    valid = isinstance(shape, Sequence) and len(shape) in (3, 4) and shape[-1] == len(shape) - 1
    if not valid:
        raise ConfigError(f'{path}: expected_shape is {shape}, expected the spatial shape followed by its length.')
    return tuple(int(n) for n in shape[:-1])


def _key(image: str) -> str:
    """``<subject>_<modality>`` of a Learn2Reg file name ``<task>_<subject>_<modality>.nii.gz``."""
    return '_'.join(Path(image).name.split('.')[0].split('_')[-2:])
