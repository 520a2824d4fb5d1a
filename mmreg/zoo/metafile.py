"""``metafile.yml``: methods, configs, published results and weights, in the form that OpenMMLab's tools read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from .cards import Card, find_cards
from .entries import Entry
from .published import PUBLISHED

HEAD = '# Made from the cards of the configs and the entries of the zoo: python tools/make_metafile.py\n'


def metafile(cards: Iterable[Card] | None = None, entries: Iterable[Entry] = PUBLISHED) -> str:
    """The text of ``metafile.yml``.

    Args:
        cards: Of the configs; those of the shipped configs by default.
        entries: Published weights.
    """
    cards = list(find_cards() if cards is None else cards)
    methods: dict[str, Card] = {}
    for card in cards:
        methods.setdefault(card.method, card)
    models = [_model(card) for card in cards] + [_weights(entry, cards) for entry in entries]
    content = {'Collections': [_collection(card) for card in methods.values()], 'Models': models}
    return HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _collection(card: Card) -> dict[str, Any]:
    return {'Name': card.method, 'Paper': {'Title': card.paper}, 'README': f'docs/{card.page}.md'}


def _model(card: Card) -> dict[str, Any]:
    results = [_result(text) for text in (card.published, card.measured) if text]
    found = {'Name': card.config.stem, 'In Collection': card.method, 'Config': f'configs/{card.config.name}'}
    return {**found, **({'Results': results} if results else {})}


def _weights(entry: Entry, cards: list[Card]) -> dict[str, Any]:
    method = next((card.method for card in cards if card.config.stem == entry.config), '') or next(
        card.method for card in cards if entry.config.startswith(card.config.stem)
    )
    return {
        'Name': f'weights_{entry.name}',
        'In Collection': method,
        'Config': f'configs/{entry.config}.py',
        'Metadata': {'Training Data': entry.trained_on, 'Parameters': entry.parameters, 'Licence': entry.licence},
        **({'Results': [_result(entry.published)]} if entry.published else {}),
        **({'Weights': entry.url} if entry.url else {}),
        'Code': {'URL': entry.page},
    }


def _result(text: str) -> dict[str, Any]:
    return {'Task': 'Image registration', 'Metrics': {'As stated': text}}
