"""From label names to the sentences that are embedded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.utils.text_files import read_json

from .label_set import LabelSet, phrase

_FIELDS = ('name', 'modality', 'body_part')


def prompts_of(label_set: LabelSet, prompts: str | Mapping[str, str] | None = None) -> list[str]:
    """One prompt per label of the set but the background, in order.

    Args:
        label_set: The labels.
        prompts: None: the set's own template. A string: another template with ``{name}``. A dict with ``template``,
            ``modality`` and ``body_part``: a template with these words in it; a dict with ``file``: a JSON file of
            name -> free text.

    Raises:
        ConfigError: a template without ``{name}``, or a file that is missing, unreadable or lacks a name.
    """
    names = label_set.names[1:]
    if isinstance(prompts, Mapping) and 'file' in prompts:
        return _from_file(prompts['file'], names)
    words = dict(prompts) if isinstance(prompts, Mapping) else {}
    template = prompts if isinstance(prompts, str) else words.pop('template', label_set.template)
    if '{name}' not in template:
        raise ConfigError(f'prompts: the template {template!r} has no {{name}}, expected one.')
    try:
        return [template.format(name=phrase(name), **words) for name in names]
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(f'prompts: the template {template!r} asks for {error}, expected only {_FIELDS}.') from error


def _from_file(path: str | Path, names: tuple[str, ...]) -> list[str]:
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f'{path}: there is no such prompt file.')
    content = read_json(path, 'a prompt file', ConfigError)
    try:
        texts = {phrase(str(name)): str(text) for name, text in content.items()}
    except (ValueError, AttributeError) as error:
        raise ConfigError(f'{path} is no prompt file, expected JSON of name -> text.') from error
    missing = [name for name in names if phrase(name) not in texts]
    if missing:
        raise ConfigError(f'{path} has no prompt of {missing[0]!r} ({len(missing)} missing), expected one per name.')
    return [texts[phrase(name)] for name in names]
