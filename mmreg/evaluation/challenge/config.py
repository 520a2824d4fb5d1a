"""What a challenge asks for: its evaluation config, a JSON file beside the ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, DataError, listed
from mmreg.io.learn2reg import field_stems
from mmreg.utils.text_files import read_json

METRICS = ('sdlogj', 'dice', 'hd95', 'tre', 'ndv')

#: Keys that make a JSON file an evaluation config.
KEYS = ('evaluation_methods', 'expected_shape', 'eval_pairs')
#: The one file that Learn2Reg's scorer reads.
SINGLE = 'evaluation_config.json'
#: Challenge -> kinds of configs that its evaluation consists of.
WANTED = {'lumir': ('segmentation', 'landmark'), 'lumir25': ('segmentation', 'landmark')}


@dataclass(frozen=True)
class ScoredPair:
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
        """Name of the displacement file without its ending, as the scorer wants it (:func:`mmreg.io.field_stems`).

        With ``whole`` always the full one, with both modalities: ``disp_0011_0000_0011_0001``.
        """
        return field_stems(self.fixed, self.moving)[1 if self.whole else 0]

    @property
    def accepted_stems(self) -> tuple[str, ...]:
        """Names under which a field is found: :attr:`field_stem`, and the full one with both modalities."""
        return tuple(dict.fromkeys((self.field_stem, field_stems(self.fixed, self.moving)[1])))

    @property
    def result_folder(self) -> str:
        """Name of the folder that `mmreg infer` makes for the pair: modality 0 is left out of it."""
        return '_'.join(_key(image).removesuffix('_0000') for image in (self.fixed, self.moving))

    @property
    def modalities(self) -> tuple[str, str]:
        """Modality of the fixed and of the moving image, the last number of their names."""
        return _key(self.fixed).split('_')[-1], _key(self.moving).split('_')[-1]


@dataclass(frozen=True)
class ScoredMethod:
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
        path: The file.
    """

    name: str
    pairs: tuple[ScoredPair, ...]
    methods: tuple[ScoredMethod, ...]
    shape: tuple[int, ...]
    masked: bool = False
    path: Path = Path()

    @property
    def kind(self) -> str:
        """What it scores besides regularity: ``'segmentation'``, ``'landmark'``, or ``'regularity'`` alone."""
        metrics = {method.metric for method in self.methods}
        if metrics & {'dice', 'hd95'}:
            return 'segmentation'
        return 'landmark' if 'tre' in metrics else 'regularity'

    @property
    def group(self) -> str:
        """LUMIR 2025's group of pairs: ``'MM'`` two modalities, ``'OOD'`` high field, ``'ID'`` all others."""
        if any(fixed != moving for fixed, moving in (pair.modalities for pair in self.pairs)):
            return 'MM'
        return 'OOD' if 'highfield' in self.path.name.lower() else 'ID'


def find_configs(ground_truth: Path, challenge: str | None = None) -> list[Path]:
    """The evaluation configs in a ground-truth folder, found by what is in the JSON files; segmentations first.

    ``evaluation_config.json`` is the only one of a folder that has it, unless ``challenge`` says otherwise.

    Raises:
        ConfigError: the folder holds none, or two that score the same pairs in the same way.
    """
    single = ground_truth / SINGLE
    if challenge in (None, 'learn2reg') and single.is_file():
        return [single]
    files = sorted(ground_truth.glob('*.json'))
    lacks = {path: _lacking(path) for path in files}
    found = [read_config(path) for path, missing in lacks.items() if not missing]
    if not found:
        seen = listed([f'{path.name} lacks {", ".join(missing)}' for path, missing in lacks.items()], '; ')
        raise ConfigError(
            f'{ground_truth} holds no evaluation config: {seen or "there is no JSON file in it"}; expected JSON files '
            f'with {", ".join(KEYS)}, or one named by --config.'
        )
    missing = [kind for kind in WANTED.get(challenge or '', ()) if kind not in {config.kind for config in found}]
    if missing:
        raise ConfigError(
            f'{ground_truth} holds {", ".join(config.path.name for config in found)}, but no evaluation config of '
            f'{challenge} for {" and ".join(missing)} scores, expected one such as {missing[0]}_evaluation_config.json.'
        )
    for number, one in enumerate(found):
        for other in found[:number]:
            if one.kind == other.kind and set(one.pairs) & set(other.pairs):
                raise ConfigError(
                    f'{one.path} and {other.path.name} score the same pairs in the same way, expected one of them: say '
                    f'which by --config.'
                )
    return [config.path for config in sorted(found, key=lambda config: config.kind, reverse=True)]


def _lacking(path: Path) -> list[str]:
    """Keys of an evaluation config that a file lacks."""
    try:
        content = read_json(path, 'an evaluation config', ConfigError)
    except ConfigError:
        return ['readable JSON']
    return [key for key in KEYS if not isinstance(content, Mapping) or key not in content]


def read_config(path: Path) -> EvaluationConfig:
    """Read an evaluation config.

    Raises:
        ConfigError: not JSON, a key is missing, or a metric is unknown.
    """
    content = read_json(path, 'an evaluation config', ConfigError)
    if not isinstance(content, Mapping):
        raise ConfigError(f'{path} holds a {type(content).__name__}, expected an evaluation config with keys.')
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise ConfigError(f'{path} lacks {", ".join(missing)}, expected an evaluation config.')
    pairs = named([_pair(entry, path) for entry in _entries(content, 'eval_pairs', path)], f'{path}: eval_pairs')
    return EvaluationConfig(
        name=str(content.get('task_name', content.get('name', path.stem))),
        pairs=tuple(pairs),
        methods=tuple(_method(entry, path) for entry in _entries(content, 'evaluation_methods', path)),
        shape=_shape(content['expected_shape'], path),
        masked=bool(content.get('masked_evaluation', False)),
        path=path,
    )


def named(pairs: list[ScoredPair], where: str) -> list[ScoredPair]:
    """The pairs, with file names that tell them apart: the scorer's, and the full ones where two would be the same.

    Raises:
        ConfigError: two different pairs would still share a name, or a name holds no number.
    """
    try:
        stems = [pair.field_stem for pair in pairs]
        found = [replace(pair, whole=stems.count(stem) > 1) for pair, stem in zip(pairs, stems)]
        full = [pair.field_stem for pair in found]
    except DataError as error:
        raise ConfigError(f'{where}: {error}') from error
    if len(set(full)) < len(full):
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        raise ConfigError(f'{where}: several pairs would be called {listed(twice)}, expected a name for each.')
    return found


def _entries(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    if not isinstance(content[key], list):
        raise ConfigError(f'{path}: {key} is a {type(content[key]).__name__}, expected a list.')
    return content[key]


def _pair(entry: Any, path: Path) -> ScoredPair:
    if not isinstance(entry, Mapping) or not {'fixed', 'moving'} <= set(entry):
        raise ConfigError(f'{path}: an entry of eval_pairs is {entry}, expected one with fixed and moving.')
    return ScoredPair(str(entry['fixed']), str(entry['moving']))


def _method(entry: Any, path: Path) -> ScoredMethod:
    if not isinstance(entry, Mapping) or entry.get('metric') not in METRICS:
        raise ConfigError(f'{path}: an evaluation method is {entry}, expected a metric of {METRICS}.')
    return ScoredMethod(
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
