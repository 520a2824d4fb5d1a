"""Cards of the shipped configs: which method, which paper, what was published, what was measured here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.utils.shipped import config_folder

_KEYS = ('method', 'paper', 'page', 'published', 'measured')


@dataclass(frozen=True)
class Card:
    """One method on one data set.

    Attributes:
        config: Path of the config that holds the card.
        method: Name of the method.
        paper: Where it was published.
        page: Its page in ``docs``, without ``.md``.
        published: Result that its authors, or others named in it, published.
        measured: Result that this project measured, with the data; empty where it measured none.
    """

    config: Path
    method: str
    paper: str
    page: str
    published: str = ''
    measured: str = ''

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the config by its name."""
        return {**asdict(self), 'config': self.config.name}


def find_cards(folder: Path | None = None) -> Iterator[Card]:
    """Cards of all configs of ``folder`` (default: the shipped ones), in the order of their names.

    A card is a dictionary of constants assigned to ``__card__`` in the file itself: it is read without running the
    file, MMEngine leaves names with two underscores out of the config, and so nothing inherits it.

    Raises:
        ConfigError: a card that is not made of constants, or has other keys.
    """
    for path in sorted((folder or config_folder()).glob('*.py')):
        found = _assigned(path)
        if found is not None:
            yield Card(path, **found)


def chosen_cards(name: str | None) -> list[Card]:
    """The cards whose method or config has ``name`` in it.

    Raises:
        ConfigError: there is none.
    """
    everything = list(find_cards())
    wanted = (name or '').lower()
    cards = [card for card in everything if wanted in card.method.lower() or wanted in card.config.stem]
    if not cards:
        methods = ', '.join(dict.fromkeys(card.method for card in everything))
        known = {word.lower(): word for card in everything for word in (card.method, card.config.stem)}
        close = get_close_matches(wanted, known, n=2, cutoff=0.6)
        hint = f'; did you mean {" or ".join(repr(known[word]) for word in close)}?' if close else ','
        raise ConfigError(f'there is no method or config with {name!r} in its name{hint} expected one of {methods}.')
    return cards


def _assigned(path: Path) -> dict[str, str] | None:
    for statement in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(statement, ast.Assign) and any(_is_card(target) for target in statement.targets):
            return _checked(path, statement.value)
    return None


def _is_card(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == '__card__'


def _checked(path: Path, value: ast.expr) -> dict[str, str]:
    try:
        if not isinstance(value, ast.Call):
            raise ValueError
        card = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in value.keywords}
    except ValueError:
        raise ConfigError(f'{path}: __card__ is no dict(...) of constants, expected the keys {_KEYS}') from None
    unknown, missing = set(card) - set(_KEYS), set(_KEYS[:3]) - set(card)
    if unknown or missing:
        raise ConfigError(
            f'{path}: __card__ has the keys {sorted(card)}, expected {_KEYS[:3]} and, where known, {_KEYS[3:]}'
        )
    return card
