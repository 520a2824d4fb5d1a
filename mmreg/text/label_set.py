"""Label sets: what the numbers of a label map are called, how they are prompted, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.registry import LABEL_SETS
from mmreg.utils.text_files import read_json, read_yaml

BACKGROUND = 'background'


@dataclass(frozen=True)
class LabelSet:
    """Ordered label values with their names.

    Attributes:
        name: What configs and files call the set.
        labels: Label value -> name, background (0) first and always there.
        template: Prompt of a name, with ``{name}``.
        maps: Per segmenter: its class number or name -> label value of this set. What is not listed becomes 0.
    """

    name: str
    labels: Mapping[int, str]
    template: str = '{name}'
    maps: Mapping[str, Mapping[int | str, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        labels: Mapping[int, str],
        template: str = '{name}',
        maps: Mapping[str, Mapping[int | str, int]] | None = None,
    ) -> LabelSet:
        """A set whose background need not be listed.

        Raises:
            ConfigError: a negative value, a value 0 that is not the background, or a name given twice.
        """
        listed = {int(value): str(label) for value, label in labels.items()}
        if listed.pop(0, BACKGROUND) != BACKGROUND:
            raise ConfigError(f'label set {name!r} calls 0 {labels.get(0)!r}, expected it to be the background.')
        names = [label.lower() for label in listed.values()]
        twice = sorted({label for label in names if names.count(label) > 1})
        if not listed or min(listed) < 0 or twice or BACKGROUND in names:
            raise ConfigError(
                f'label set {name!r} has the labels {dict(listed)}, expected positive numbers with names of their own.'
            )
        return cls(name, {0: BACKGROUND, **dict(sorted(listed.items()))}, template, dict(maps or {}))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the values, background first: the rows of an embedding table."""
        return tuple(self.labels.values())

    @property
    def values(self) -> tuple[int, ...]:
        """Label values in the order of the names."""
        return tuple(self.labels)

    def value_of(self, name: str) -> int:
        """Label value of ``name``; upper case, hyphens and underscores do not matter.

        Raises:
            ConfigError: no such name.
        """
        for value, label in self.labels.items():
            if phrase(label) == phrase(name):
                return value
        raise ConfigError(f'label set {self.name!r} has no {name!r}, expected one of {", ".join(self.names)}.')

    def mapping_from(self, source: str) -> dict[int | str, int]:
        """Class of ``source`` -> label value of this set.

        Args:
            source: A segmenter that the set has a map of, or another label set, which is matched by names.

        Raises:
            ConfigError: neither.
        """
        if source == self.name:
            return {value: value for value in self.values}
        if source in self.maps:
            return dict(self.maps[source])
        if source in LABEL_SETS.module_dict:
            theirs = get_label_set(source)
            ours = {phrase(label): value for value, label in self.labels.items()}
            return {value: ours[phrase(label)] for value, label in theirs.labels.items() if phrase(label) in ours}
        known = sorted({*self.maps, *LABEL_SETS.module_dict})
        raise ConfigError(f'label set {self.name!r} has no map from {source!r}, expected one of {", ".join(known)}.')


def phrase(name: str) -> str:
    """A label's name as it stands in a prompt: hyphens and underscores become spaces, lower case."""
    return name.replace('-', ' ').replace('_', ' ').lower()


def get_label_set(source: str | Mapping[str, Any] | LabelSet) -> LabelSet:
    """A registered label set, one from a JSON or YAML file, or one from a dict.

    A file holds number -> name, or ``labels`` (number -> name) with optional ``name``, ``template`` and ``maps``.

    Raises:
        ConfigError: no such set or file, or it holds something else.
    """
    if isinstance(source, LabelSet):
        return source
    if isinstance(source, Mapping):
        return _from_dict(source, 'custom', 'label_set')
    if source in LABEL_SETS.module_dict:
        return LABEL_SETS.build({'type': source})
    path = Path(source)
    if path.suffix in ('.json', '.yaml', '.yml'):
        return _from_dict(_read(path), path.stem, str(path))
    raise ConfigError(
        f'label_set={source!r} is unknown, expected one of {", ".join(sorted(LABEL_SETS.module_dict))}, or a .json or '
        '.yaml file of number -> name.'
    )


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f'{path}: there is no such label set file.')
    read = read_json if path.suffix == '.json' else read_yaml
    return read(path, 'number -> name', ConfigError)


def _from_dict(content: Any, name: str, where: str) -> LabelSet:
    labels = content.get('labels', content) if isinstance(content, Mapping) else None
    try:
        numbered = {int(value): str(label) for value, label in labels.items()}  # type: ignore[union-attr]
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f'{where} holds no label set, expected number -> name.') from error
    if labels is content:
        return LabelSet.of(name, numbered)
    maps = {
        str(source): {int(key) if str(key).isdigit() else str(key): int(value) for key, value in table.items()}
        for source, table in (content.get('maps') or {}).items()
    }
    return LabelSet.of(content.get('name', name), numbered, content.get('template', '{name}'), maps)


def names_of(source: str | Mapping[str, Any] | LabelSet) -> tuple[str, ...]:
    """Names of the structures 1, 2, ... of a label set, without the background; for tables.

    Example:
        >>> names_of('acdc3')[0]
        'right ventricle'
    """
    found = get_label_set(source)
    return tuple(found.names[1:]) if found.names and found.names[0] == 'background' else tuple(found.names)
