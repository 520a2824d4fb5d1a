"""Embeddings inside a model: rows and names travel with the weights; loading looks them up by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmreg.errors import CheckpointError, ConfigError
from mmreg.text.embedding import TextEmbedding
from mmreg.text.table import TextTable, TextUnavailable, rows_by_name
from mmreg.utils.text_files import parse_json


class TextRows(nn.Module):
    """A text table as part of a model.

    State: ``embedding`` ``(L, d)``, a buffer or a parameter, and ``record``, the names and where the rows come from as
    UTF-8 JSON in bytes. A checkpoint is therefore complete: loading it needs no encoder and no embedding file, and
    finds each row by its name, in whatever order the checkpoint has them.

    Args:
        table: The rows; None where no provider works here: they must come from a checkpoint.
        names: Names of the label set.
        dim: Length of an embedding; needed where ``table`` is None.
        reason: Why there is no table.
        waiting: A provider that would have to fetch something; asked by ``make`` when the rows are first needed, that
            is unless a checkpoint brings them.
        make: Makes the table.
    """

    embedding: Tensor
    record: Tensor

    def __init__(
        self,
        table: TextTable | None,
        names: Sequence[str],
        dim: int | None,
        reason: str = '',
        waiting: TextEmbedding | None = None,
        make: Callable[[], TextTable] | None = None,
    ):
        super().__init__()
        self.names = tuple(names)
        self.reason = reason
        self.make = make
        self.trained = table.trained if table else 'none'
        if waiting is not None and waiting.background == 'learned':
            self.trained = 'background'
        if table is None:
            rows = torch.full((len(names), dim or 1), float('nan'))
        else:
            rows = torch.from_numpy(np.ascontiguousarray(table.embeddings, dtype=np.float32))
        if self.trained == 'all':
            self.embedding = nn.Parameter(rows)
        else:
            self.register_buffer('embedding', rows)
        self.background = nn.Parameter(rows[0].clone()) if self.trained == 'background' else None
        meta = table.meta if table else {'encoder': waiting.encoder} if waiting is not None else {}
        self.register_buffer('record', pack(self.names, table.prompts if table else (), meta))

    @property
    def meta(self) -> dict[str, Any]:
        """Provider, encoder, background rule and what else is known of the rows."""
        return unpack(self.record)['meta']

    def forward(self) -> Tensor:
        """Rows ``(L, d)``.

        Raises:
            ConfigError: there are none yet.
        """
        self.fetch()
        if self.reason and not bool(torch.isfinite(self.embedding).all()):
            raise ConfigError(
                f'the model has no text embeddings: {self.reason.rstrip(".")}; expected a checkpoint that holds them, '
                'or a provider that works here.'
            )
        if self.background is None:
            return self.embedding
        return torch.cat([self.background[None], self.embedding[1:]])

    @torch.no_grad()
    def fetch(self) -> None:
        """Ask the provider that waits, once; where it cannot work, :attr:`reason` says why."""
        if self.make is None or self.embedding.is_meta:
            return
        make, self.make = self.make, None
        try:
            table = make()
        except TextUnavailable as error:
            self.reason = str(error)
            return
        rows = torch.from_numpy(np.ascontiguousarray(table.embeddings, dtype=np.float32)).to(self.embedding)
        self.embedding.copy_(rows)
        if self.background is not None:
            self.background.copy_(rows[0])
        self.record = pack(self.names, table.prompts, table.meta).to(self.record.device)

    def adapt_weights(self, weights: MutableMapping[str, Any], prefix: str, source: str) -> None:
        """Bring the rows in ``weights`` into the order of this model's names, in place.

        Weights without rows (converted from files that have none) get the model's own.

        Raises:
            CheckpointError: a name of this model has no row in ``weights``, or the rows have another length.
        """
        rows, record = weights.get(f'{prefix}embedding'), weights.get(f'{prefix}record')
        if rows is None or record is None:
            self.fetch()
            weights[f'{prefix}embedding'] = self.embedding.detach()
            weights[f'{prefix}record'] = self.record
            return
        found = unpack(record)
        try:
            order = rows_by_name(found['names'], self.names, source)
        except ConfigError as error:
            raise CheckpointError(
                f'{str(error).rstrip(".")}: the label sets of model and checkpoint have different names.'
            ) from None
        if rows.shape[1] != self.embedding.shape[1]:
            raise CheckpointError(
                f'{source} holds embeddings of the encoder {found["meta"].get("encoder")!r} with {rows.shape[1]} '
                f'numbers each, expected {self.embedding.shape[1]} as of {self.meta.get("encoder")!r}; choose the same '
                'text_embedding (or set text_dim).'
            )
        weights[f'{prefix}embedding'] = rows[order]
        self.make = None
        prompts = found['prompts']
        self.record = pack(self.names, [prompts[k] for k in order] if prompts else (), found['meta']).to(
            self.record.device
        )
        weights[f'{prefix}record'] = self.record

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self.adapt_weights(state_dict, prefix, 'the checkpoint')
        super()._load_from_state_dict(state_dict, prefix, *args)


def pack(names: Sequence[str], prompts: Sequence[str], meta: Mapping[str, Any]) -> Tensor:
    """A record as bytes: ``(n,)`` uint8."""
    text = json.dumps({'names': list(names), 'prompts': list(prompts), 'meta': dict(meta)}, ensure_ascii=False)
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def unpack(record: Tensor) -> dict[str, Any]:
    """What :func:`pack` packed into bytes ``(B,)``.

    Raises:
        CheckpointError: other bytes.
    """
    where = 'the record of text embeddings'
    if record.dtype != torch.uint8 or record.dim() != 1:
        raise CheckpointError(f'{where} is {record.dtype} of shape {tuple(record.shape)}, expected bytes.')
    found = parse_json(bytes(record.cpu().numpy()), where, 'names and meta', CheckpointError)
    texts = isinstance(found, dict) and all(
        isinstance(found.get(key), list) and all(isinstance(one, str) for one in found[key])
        for key in ('names', 'prompts')
    )
    if not texts or not isinstance(found.get('meta'), dict):
        raise CheckpointError(f'{where} is damaged, expected names, prompts and meta.')
    return found
