"""`mmreg models`: the methods with config, paper, parameters and results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from mmreg.utils import console
from mmreg.zoo.cards import Card, chosen_cards
from mmreg.zoo.counts import count_parameters, known_count

from .shared.options import add_common


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg models`."""
    parser = argparse.ArgumentParser(
        prog='mmreg models',
        description='List the methods: config, paper, parameters, published result, and our own where it was measured.',
    )
    parser.add_argument('name', nargs='?', help='show methods and configs with this in their name only')
    parser.add_argument('--json', action='store_true', help='print JSON')
    add_common(parser, config_options=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg models`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _models(args), debug=args.debug)


def _models(args: argparse.Namespace) -> None:
    cards = chosen_cards(args.name)
    sizes = _sizes(cards, args.plugin)
    if args.json:
        rows = [{**card.as_dict(), 'parameters': size} for card, size in zip(cards, sizes)]
        console.say(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for method in dict.fromkeys(card.method for card in cards):
        group = [(card, size) for card, size in zip(cards, sizes) if card.method == method]
        first = group[0][0]
        console.say(f'{method}   {first.paper}   docs/{first.page}.md')
        lines = [(card.config.stem, _count(size), card.published or '-', card.measured or '-') for card, size in group]
        console.table(('  config', 'parameters', 'published', 'measured here'), [(f'  {a}', *b) for a, *b in lines])
        console.say()
    console.say('published: by the authors or the challenge, not by this project; measured here: see the page.')


def _sizes(cards: Sequence[Card], plugins: Sequence[str]) -> list[int]:
    """Parameters of each; torch is imported only where one has changed since they were counted."""
    known = [known_count(card.config) for card in cards]
    if plugins or None in known:
        from mmreg.plugins import register_all_modules

        register_all_modules(plugins)
    return [count_parameters(card.config) if size is None else size for card, size in zip(cards, known)]


def _count(number: int) -> str:
    for limit, unit in ((1_000_000, 'M'), (1_000, 'k')):
        if number >= limit:
            return f'{number / limit:.2f} {unit}'
    return str(number)
