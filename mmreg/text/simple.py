"""Embeddings without an encoder: hash, random, one-hot, learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmreg.registry import TEXT_EMBEDDINGS

from .embedding import TextEmbedding
from .hashing import hash_vector
from .label_set import LabelSet
from .prompts import prompts_of
from .table import TextTable


@TEXT_EMBEDDINGS.register_module()
class HashTextEmbedding(TextEmbedding):
    """Numbers from the SHA-256 of each prompt: no meaning, no download, the same everywhere.

    Args:
        dim: Length of an embedding.
        scale: Norm; 10 is the order of CLIP's.
        kwargs: See :class:`TextEmbedding`.
    """

    def __init__(self, dim: int = 768, scale: float = 10.0, **kwargs: Any):
        super().__init__(scale=scale, **kwargs)
        self.dim = dim

    @property
    def encoder(self) -> str:
        """Name with the length of the vectors."""
        return f'hash-{self.dim}'

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """A vector per prompt made of its text, ``(P, dim)``."""
        return np.stack([hash_vector(prompt, self.dim) for prompt in prompts])


@TEXT_EMBEDDINGS.register_module()
class RandomTextEmbedding(TextEmbedding):
    """Gaussian directions from a seed, of norm ``scale``; the text plays no part.

    Args:
        dim: Length of an embedding.
        seed: Of the numbers.
        scale: Norm.
        kwargs: See :class:`TextEmbedding`.
    """

    def __init__(self, dim: int = 768, seed: int = 0, scale: float = 10.0, **kwargs: Any):
        super().__init__(scale=scale, **{**kwargs, 'normalize': True})
        self.dim, self.seed = dim, seed

    @property
    def encoder(self) -> str:
        """Name with the length of the vectors."""
        return f'random-{self.dim}'

    def details(self) -> dict[str, Any]:
        """The seed."""
        return {'seed': self.seed}

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """Normally distributed vectors, ``(P, dim)``, the same for one seed."""
        return np.random.default_rng(self.seed).standard_normal((len(prompts), self.dim))


@TEXT_EMBEDDINGS.register_module()
class OneHotTextEmbedding(TextEmbedding):
    """The identity: one dimension per label, background included; has no background rule."""

    def __call__(self, label_set: LabelSet) -> TextTable:
        identity = np.eye(len(label_set.names), dtype=np.float32) * np.float32(self.scale)
        prompts = ('', *prompts_of(label_set, self.prompts))
        meta = {'provider': type(self).__name__, 'encoder': 'one-hot', 'label_set': label_set.name}
        return TextTable(identity, label_set.names, prompts, meta)


@TEXT_EMBEDDINGS.register_module()
class LearnedTextEmbedding(RandomTextEmbedding):
    """Rows that are parameters of the model, background included; they start as :class:`RandomTextEmbedding`."""

    @property
    def encoder(self) -> str:
        """Name with the length of the vectors."""
        return f'learned-{self.dim}'

    def __call__(self, label_set: LabelSet) -> TextTable:
        table = super().__call__(label_set)
        table.trained = 'all'
        return table
