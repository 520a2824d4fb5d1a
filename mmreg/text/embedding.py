"""The base of all text embeddings: prompts to rows, rules of the background row, and lists of providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmreg.errors import ConfigError
from mmreg.registry import TEXT_EMBEDDINGS

from .hashing import hash_vector
from .label_set import BACKGROUND, LabelSet
from .prompts import prompts_of
from .table import TextTable, TextUnavailable

BACKGROUNDS = ('orthogonal', 'zeros', 'prompt', 'svd_last_column', 'learned')


class TextEmbedding:
    """Turns a label set into a :class:`TextTable`; subclasses implement :meth:`encode` and :attr:`encoder`.

    Args:
        prompts: See :func:`mmreg.text.prompts.prompts_of`.
        normalize: Rows of norm 1 before ``scale``; off as published.
        scale: Factor of all rows but the background.
        background: Row 0. ``'orthogonal'``: a fixed direction orthogonal to all other rows, of norm
            ``background_scale``; ``'zeros'``; ``'prompt'``: the embedding of the word; ``'svd_last_column'``: the
            published rule, which depends on the SVD routine, for published checkpoints; ``'learned'``: a parameter,
            which starts as ``'orthogonal'``.
        background_scale: Norm of the orthogonal background.

    Raises:
        ConfigError: another background rule.
    """

    def __init__(
        self,
        prompts: str | Mapping[str, str] | None = None,
        normalize: bool = False,
        scale: float = 1.0,
        background: str = 'orthogonal',
        background_scale: float = 1.0,
    ):
        if background not in BACKGROUNDS:
            raise ConfigError(f'text_embedding.background is {background!r}, expected one of {BACKGROUNDS}.')
        self.prompts, self.normalize, self.scale = prompts, normalize, scale
        self.background, self.background_scale = background, background_scale

    @property
    def remote(self) -> bool:
        """Whether it may have to fetch something: asked only when its rows are really needed."""
        return False

    @property
    def encoder(self) -> str:
        """What made the numbers: stored with them, and compared."""
        return type(self).__name__

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """``(len(prompts), d)`` rows.

        Raises:
            TextUnavailable: it cannot work here.
        """
        raise NotImplementedError

    def details(self) -> dict[str, Any]:
        """What else the numbers depend on: versions, weight tag, precision, seed."""
        return {}

    def __call__(self, label_set: LabelSet) -> TextTable:
        """The table of ``label_set``."""
        prompts = prompts_of(label_set, self.prompts)
        rows = self._scaled(prompts)
        word = ''
        if self.background == 'prompt':
            word = BACKGROUND
            first = self._scaled([BACKGROUND])
        else:
            first = background_row(rows, self.background, self.background_scale)[None]
        meta = {
            'provider': type(self).__name__,
            'encoder': self.encoder,
            'label_set': label_set.name,
            'background': self.background,
            'normalize': self.normalize,
            'scale': self.scale,
            **self.details(),
        }
        trained = 'background' if self.background == 'learned' else 'none'
        embeddings = np.concatenate([first, rows]).astype(np.float32)
        return TextTable(embeddings, label_set.names, (word, *prompts), meta, trained)

    def _scaled(self, prompts: Sequence[str]) -> np.ndarray:
        rows = np.asarray(self.encode(prompts), dtype=np.float64)
        if self.normalize:
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return rows * self.scale


def background_row(rows: np.ndarray, rule: str, scale: float = 1.0) -> np.ndarray:
    """``(d,)`` background of the other rows ``(L - 1, d)``; see :class:`TextEmbedding`.

    Raises:
        ConfigError: ``'orthogonal'`` with as many rows as dimensions: there is no such direction.
    """
    count, dim = rows.shape
    if rule == 'zeros':
        return np.zeros(dim)
    if rule == 'svd_last_column':
        return np.linalg.svd(rows.astype(np.float32), full_matrices=True)[2][:, -1].astype(np.float64)
    if count >= dim:
        raise ConfigError(
            f'text_embedding has {count} names in {dim} dimensions, expected fewer for an orthogonal background; '
            "choose background='zeros' or a larger dim."
        )
    basis = np.linalg.qr(rows.astype(np.float64).T)[0]
    direction = hash_vector(BACKGROUND, dim)
    for _ in range(2):  # the second time removes what rounding left
        direction = direction - basis @ (basis.T @ direction)
    return scale * direction / np.linalg.norm(direction)


def embed_at_hand(
    label_set: LabelSet, providers: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> TextTable | TextEmbedding:
    """As :func:`embed`, but nothing is fetched: the provider that would have to, where no one before it works.

    Raises:
        TextUnavailable: none works.
        ConfigError: one is misconfigured, or has a file of another encoder.
    """
    configs = [providers] if isinstance(providers, Mapping) else list(providers)
    for config in configs:
        provider = TEXT_EMBEDDINGS.build(dict(config))
        if provider.remote:
            return provider
        try:
            return provider(label_set)
        except TextUnavailable:
            continue
    return embed(label_set, configs)  # says why


def embed(label_set: LabelSet, providers: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> TextTable:
    """The table of the first provider that works here; ``meta['tried']`` says why the ones before it did not.

    Args:
        label_set: The labels.
        providers: One config in TEXT_EMBEDDINGS or a list, in order of preference.

    Raises:
        TextUnavailable: none works.
        ConfigError: one is misconfigured, or has a file of another encoder.
    """
    tried: list[str] = []
    for config in [providers] if isinstance(providers, Mapping) else list(providers):
        provider = TEXT_EMBEDDINGS.build(dict(config))
        try:
            table = provider(label_set)
        except TextUnavailable as error:
            tried.append(f'{config["type"]}: {error}')
            continue
        if tried:
            table.meta['tried'] = tried
        return table
    raise TextUnavailable(f'text_embedding: no provider works here ({"; ".join(tried)}).')
