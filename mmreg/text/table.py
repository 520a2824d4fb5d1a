"""A table of text embeddings with everything known about it, and its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError, listed
from mmreg.io.pickles import read_npz
from mmreg.utils.atomic import replacing
from mmreg.utils.text_files import parse_json

from .label_set import phrase


class TextUnavailable(ConfigError):
    """A provider cannot work here: a file or a package is missing, or there is no network. The next one is tried."""


@dataclass
class TextTable:
    """Rows of one label set.

    Attributes:
        embeddings: ``(L, d)`` float32, background first.
        names: ``L`` names.
        prompts: ``L`` prompts; that of the background is empty unless it was embedded.
        meta: ``provider``, ``encoder``, ``background`` and what else makes the numbers repeatable.
        trained: ``'all'``, ``'background'`` or ``'none'``: rows that are parameters of the model.
    """

    embeddings: np.ndarray
    names: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    trained: str = 'none'

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.embeddings.shape[1]

    def rows_of(self, names: Sequence[str], where: str) -> list[int]:
        """Row of each name.

        Raises:
            ConfigError: a name that is not in the table.
        """
        return rows_by_name(self.names, names, where)

    def save(self, path: str | Path) -> None:
        """Write ``.npz`` or ``.safetensors`` with ``embeddings``, ``names``, ``prompts`` and ``meta`` (JSON)."""
        meta = {**self.meta, 'sha256': sha256(self.embeddings)}
        with replacing(path) as temporary:
            if Path(path).suffix == '.safetensors':
                _safetensors().save_file(
                    {'embeddings': np.ascontiguousarray(self.embeddings)},
                    str(temporary),
                    {'names': json.dumps(self.names), 'prompts': json.dumps(self.prompts), 'meta': json.dumps(meta)},
                )
            else:
                with open(temporary, 'wb') as file:
                    np.savez(
                        file,
                        embeddings=self.embeddings,
                        names=np.array(self.names),
                        prompts=np.array(self.prompts),
                        meta=np.array(json.dumps(meta)),
                    )

    @classmethod
    def load(cls, path: str | Path) -> TextTable:
        """Read what :meth:`save` wrote.

        Raises:
            TextUnavailable: no such file.
            DataError: it holds something else, or numbers that were changed.
        """
        path = Path(path)
        if not path.is_file():
            raise TextUnavailable(
                f'{path}: there is no such embedding file, expected one; make it with tools/embed_labels.py'
            )
        try:
            table = _read_safetensors(path) if path.suffix == '.safetensors' else _read_npz(path)
        except TextUnavailable:
            raise
        except Exception as error:
            raise DataError(
                f'{path} is no embedding file ({type(error).__name__}), expected embeddings, names, prompts and meta.'
            ) from error
        if table.embeddings.ndim != 2 or len(table.embeddings) != len(table.names):
            raise DataError(
                f'{path} holds embeddings of shape {table.embeddings.shape} for {len(table.names)} names, expected one '
                'row per name.'
            )
        if table.meta.get('sha256') not in (None, sha256(table.embeddings)):
            raise DataError(
                f'{path}: the embeddings have another checksum than the file says, expected them unchanged.'
            )
        return table


def rows_by_name(have: Sequence[str], want: Sequence[str], where: str) -> list[int]:
    """Positions in ``have`` of the names ``want``; case, hyphens and underscores do not matter.

    Raises:
        ConfigError: a name is missing; the sentence begins with ``where``.
    """
    known = {phrase(name): row for row, name in enumerate(have)}
    missing = [name for name in want if phrase(name) not in known]
    if missing:
        shown = listed([repr(name) for name in missing], shown=3)
        raise ConfigError(
            f'{where} has no embedding of {shown} ({len(missing)} of {len(want)} names), found {listed(have, shown=4)}.'
        )
    return [known[phrase(name)] for name in want]


def sha256(embeddings: np.ndarray) -> str:
    """Checksum of the numbers."""
    return hashlib.sha256(np.ascontiguousarray(embeddings, dtype='<f4').tobytes()).hexdigest()


def _read_npz(path: Path) -> TextTable:
    stored = read_npz(path, ('embeddings', 'names', 'prompts', 'meta'))
    return TextTable(
        stored['embeddings'].astype(np.float32),
        tuple(str(name) for name in stored['names']),
        tuple(str(prompt) for prompt in stored['prompts']),
        parse_json(str(stored['meta']), str(path)),
    )


def _read_safetensors(path: Path) -> TextTable:
    module = _safetensors()
    from safetensors import safe_open

    with safe_open(str(path), framework='numpy') as file:
        words = file.metadata() or {}
    return TextTable(
        module.load_file(str(path))['embeddings'].astype(np.float32),
        tuple(parse_json(words['names'], str(path))),
        tuple(parse_json(words['prompts'], str(path))),
        parse_json(words['meta'], str(path)),
    )


def _safetensors() -> Any:
    try:
        from safetensors import numpy as module
    except ImportError as error:
        raise TextUnavailable('safetensors is not installed: pip install "mmreg[safetensors]".') from error
    return module
