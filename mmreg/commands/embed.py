"""`mmreg embed`: compute the text embeddings of a config's label set once, and keep them in a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.utils import console

from .shared.options import add_common


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of tools/embed_labels.py; returns the exit code."""
    args = _parser().parse_args(argv)
    return console.run(lambda: embed_labels(args), debug=args.debug)


def embed_labels(args: argparse.Namespace) -> None:
    """Do what the parsed ``args`` say."""
    from mmreg.plugins import register_all_modules
    from mmreg.utils.config import load_config, merge_options

    register_all_modules(args.plugin)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    head = next((node for node in _nodes(cfg.to_dict()) if node.get('type') == 'TextSCFHead'), None)
    if head is None:
        raise ConfigError(f'{args.config} has no TextSCFHead, expected one: it names label set and embeddings.')
    from mmreg.text import get_label_set
    from mmreg.text.embedding import embed

    label_set = get_label_set(head.get('label_set', 'oasis35'))
    providers = head.get('text_embedding', [])
    providers = [providers] if isinstance(providers, Mapping) else list(providers)
    computing = [provider for provider in providers if provider['type'] != 'FileTextEmbedding']
    if len(computing) > 1 and not args.hash:  # numbers without meaning are kept only where they are asked for
        computing = [provider for provider in computing if provider['type'] != 'HashTextEmbedding']
    table = embed(label_set, computing)
    for reason in table.meta.pop('tried', []):
        console.say(f'not used: {reason}')
    target = args.out or _place(args.config, providers, label_set.name, str(table.meta['encoder']))
    table.save(target)
    console.say(
        f'{target}: {len(table.names)} rows of {table.dim} by {table.meta["provider"]}, encoder '
        f'{table.meta["encoder"]}, background {table.meta.get("background", "-")}'
    )


def _place(config: str, providers: Sequence[Mapping[str, Any]], label_set: str, encoder: str) -> Path:
    """Where the config's file provider looks for this encoder, else beside the config."""
    for provider in providers:
        if provider['type'] == 'FileTextEmbedding' and provider.get('encoder') in (None, encoder):
            return Path(provider['path'].format(label_set=label_set, encoder=encoder))
    return Path(config).parent / f'{label_set}_{encoder}.npz'


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every dict inside ``node``."""
    if isinstance(node, Mapping):
        yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _nodes(child)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='mmreg embed',
        description='Compute the text embeddings of the labels of a config, with the first provider that works.',
    )
    parser.add_argument('config', help='config file with a TextSCFHead; it is Python and is executed')
    parser.add_argument('--out', '-o', metavar='FILE', help='.npz or .safetensors (default: where the config looks)')
    parser.add_argument(
        '--hash', action='store_true', help='take hash numbers, which mean nothing, where no encoder works'
    )
    add_common(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
