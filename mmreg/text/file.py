"""Embeddings that were computed before: the provider that training and inference use."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmreg.errors import ConfigError
from mmreg.registry import TEXT_EMBEDDINGS

from .label_set import LabelSet
from .table import TextTable


@TEXT_EMBEDDINGS.register_module()
class FileTextEmbedding:
    """Rows of a file that ``tools/embed_labels.py`` wrote, looked up by name.

    Args:
        path: ``.npz`` or ``.safetensors``; ``{label_set}`` and ``{encoder}`` stand for the names of these.
        encoder: What must have made the file, such as ``'ViT-L-14-336'``; anything when None.

    Raises:
        ConfigError: the file is of another encoder, or lacks a name.
    """

    #: A file is at hand or is not.
    remote = False

    def __init__(self, path: str, encoder: str | None = None):
        self.path, self.encoder = path, encoder

    def __call__(self, label_set: LabelSet) -> TextTable:
        path = Path(self.path.format(label_set=label_set.name, encoder=self.encoder or ''))
        table = TextTable.load(path)
        found = table.meta.get('encoder')
        if self.encoder is not None and found != self.encoder:
            raise ConfigError(f'{path} holds embeddings of the encoder {found!r}, expected {self.encoder!r}.')
        rows = table.rows_of(label_set.names, str(path))
        meta = {**table.meta, 'provider': type(self).__name__, 'computed_by': table.meta.get('provider')}
        prompts = tuple(table.prompts[row] for row in rows)
        return TextTable(np.ascontiguousarray(table.embeddings[rows]), label_set.names, prompts, meta)
