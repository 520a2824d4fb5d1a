"""Text encoders through transformers (the extra ``hf``): CLIP towers, or any encoder with mean pooling."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.registry import TEXT_EMBEDDINGS

from .embedding import TextEmbedding
from .open_clip import warn_of_long, why_not
from .table import TextUnavailable


@TEXT_EMBEDDINGS.register_module()
class HFTextEmbedding(TextEmbedding):
    """``text_embeds`` of a CLIP model (not normalised), or the mean of the last hidden states of any other encoder.

    Args:
        model: Name on the hub or a folder.
        revision: Commit of the hub, so that the numbers stay the same.
        local_files_only: Never download.
        kwargs: See :class:`TextEmbedding`.
    """

    def __init__(
        self,
        model: str = 'openai/clip-vit-large-patch14-336',
        revision: str | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.model = model
        self.options = {'revision': revision, 'local_files_only': local_files_only}

    @property
    def remote(self) -> bool:
        """The model is fetched unless it is a folder or may only come from the local store."""
        return not self.options['local_files_only'] and not Path(self.model).is_dir()

    @property
    def encoder(self) -> str:
        """Name of the encoder, without where it lies."""
        return self.model.rstrip('/').rpartition('/')[2]

    def details(self) -> dict[str, Any]:
        """Weights, revision and version of the library."""
        library = f'transformers {version("transformers")}'
        return {'weights': self.model, 'revision': self.options['revision'], 'library': library, 'precision': 'fp32'}

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """Embeddings of the prompts, ``(P, dim)``."""
        try:
            import torch
            import transformers
        except (ImportError, RuntimeError) as error:  # absent, or built for another torch
            raise TextUnavailable(why_not('transformers', 'hf', error)) from error
        try:
            config = transformers.AutoConfig.from_pretrained(self.model, **self.options)
            clip = config.model_type.startswith('clip')
            kind: Any = transformers.CLIPTextModelWithProjection if clip else transformers.AutoModel
            tower = kind.from_pretrained(self.model, **self.options).eval()
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.model, **self.options)
        except Exception as error:  # no network, no such model: whatever the hub raises
            raise TextUnavailable(f'transformers has no model {self.model!r} here ({type(error).__name__})') from error
        text = config.text_config if hasattr(config, 'text_config') else config
        longest = text.max_position_embeddings
        warn_of_long(prompts, [len(tokenizer(prompt)['input_ids']) for prompt in prompts], longest)
        tokens = tokenizer(list(prompts), padding=True, truncation=True, max_length=longest, return_tensors='pt')
        with torch.no_grad():
            output = tower(**tokens)
        if clip:
            return output.text_embeds.float().numpy()
        mask = tokens['attention_mask'][..., None].float()
        return ((output.last_hidden_state * mask).sum(1) / mask.sum(1)).float().numpy()
