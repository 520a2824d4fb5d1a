"""Text towers of CLIP through open_clip_torch (the extra ``clip``)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.registry import TEXT_EMBEDDINGS

from .embedding import TextEmbedding
from .table import TextUnavailable


@TEXT_EMBEDDINGS.register_module()
class OpenClipTextEmbedding(TextEmbedding):
    """The projected end-of-text feature of a CLIP model, not normalised.

    ``model='ViT-L-14-336'`` (768 numbers) and ``'RN50x64'`` (1024) with ``pretrained='openai'`` are the published
    choices. The weights are downloaded once. Prompts above the model's context (77 tokens) are cut, with a warning.

    Args:
        model: Name in open_clip.
        pretrained: Tag of the weights, a file of weights, or None: random weights, for tests.
        cache_dir: Where weights are kept.
        kwargs: See :class:`TextEmbedding`.
    """

    def __init__(
        self,
        model: str = 'ViT-L-14-336',
        pretrained: str | None = 'openai',
        cache_dir: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.model, self.pretrained, self.cache_dir = model, pretrained, cache_dir

    @property
    def remote(self) -> bool:
        """Weights are downloaded where they are not kept yet, unless they are a file or random."""
        return self.pretrained is not None and not Path(self.pretrained).is_file()

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return self.model

    def details(self) -> dict[str, Any]:
        """Weights, precision and version of the library."""
        return {
            'weights': self.pretrained,
            'library': f'open_clip_torch {version("open_clip_torch")}',
            'precision': 'fp32',
        }

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """Embeddings of the prompts, ``(P, dim)``."""
        try:
            import open_clip
            import torch
        except (ImportError, RuntimeError) as error:  # absent, or built for another torch
            raise TextUnavailable(why_not('open_clip', 'clip', error)) from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # about activations that the tag 'openai' sets right
                tower = open_clip.create_model(
                    self.model, pretrained=self.pretrained, precision='fp32', cache_dir=self.cache_dir
                ).eval()
                tokenizer = open_clip.get_tokenizer(self.model)
        except Exception as error:  # no network, no such tag: whatever the hub raises
            raise TextUnavailable(
                f'open_clip has no weights {self.pretrained!r} of {self.model!r} here ({type(error).__name__})'
            ) from error
        tokens = tokenizer(list(prompts))
        warn_of_long(prompts, [len(tokenizer.encode(prompt)) + 2 for prompt in prompts], tokens.shape[1])
        with torch.no_grad():
            return tower.encode_text(tokens, normalize=False).float().numpy()


def why_not(module: str, extra: str, error: Exception) -> str:
    """Why a library cannot be imported: it is absent, or it is there and something that it needs does not fit."""
    if find_spec(module) is None:
        return f'{module} is not installed: pip install "mmreg[{extra}]"'
    reason = ' '.join(str(error).split()).rstrip('.')
    return (
        f'{module} is installed but cannot be imported ({type(error).__name__}: {reason}); where torchvision is named, '
        'it was built for another torch: install the torchvision of the same build (CPU or CUDA) as torch, from where '
        'torch was installed'
    )


def warn_of_long(prompts: Sequence[str], lengths: Sequence[int], longest: int) -> None:
    """Say which prompts lose their end."""
    for prompt, length in zip(prompts, lengths):
        if length > longest:
            warnings.warn(f'the prompt {prompt[:40]!r}... has {length} tokens and is cut at {longest}.', stacklevel=3)
