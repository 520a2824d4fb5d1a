"""The text embeddings that a config asks for, computed once and kept in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError

from .embedding import embed
from .label_set import get_label_set
from .table import TextTable


def computed_table(cfg: Mapping[str, Any], config: str, keep_hash: bool) -> tuple[TextTable, Path]:
    """The embeddings of a config's label set by the first provider that works, and where the config looks for them.

    Args:
        cfg: The merged config, as plain dicts.
        config: Its file or name.
        keep_hash: Take hash numbers, which mean nothing, where no encoder works.

    Raises:
        ConfigError: the config has no head that names label set and embeddings.
    """
    head = next((node for node in _nodes(cfg) if node.get('type') == 'TextSCFHead'), None)
    if head is None:
        raise ConfigError(f'{config} has no TextSCFHead, expected one: it names label set and embeddings.')
    label_set = get_label_set(head.get('label_set', 'oasis35'))
    providers = head.get('text_embedding', [])
    providers = [providers] if isinstance(providers, Mapping) else list(providers)
    computing = [provider for provider in providers if provider['type'] != 'FileTextEmbedding']
    if len(computing) > 1 and not keep_hash:  # numbers without meaning are kept only where they are asked for
        computing = [provider for provider in computing if provider['type'] != 'HashTextEmbedding']
    table = embed(label_set, computing)
    return table, _place(config, providers, label_set.name, str(table.meta['encoder']))


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
