"""An embedding of a text that needs nothing: numbers from its SHA-256."""

from __future__ import annotations

import hashlib

import numpy as np


def hash_vector(text: str, dim: int, scale: float = 1.0) -> np.ndarray:
    """``(dim,)`` float64 of norm ``scale``, the same everywhere.

    SHA-256 of (text, a zero byte, the decimal block number) gives eight big-endian 32-bit numbers v per block, each
    becomes ``(v + 0.5) / 2^31 - 1``. Source: golden textscf/textscf_prompts ``hash_768_first4``.
    """
    blocks = -(-dim // 8)
    digests = (hashlib.sha256(text.encode() + b'\0' + str(block).encode('ascii')).digest() for block in range(blocks))
    words = np.frombuffer(b''.join(digests), dtype='>u4')[:dim].astype(np.float64)
    values = (words + 0.5) / 2**31 - 1
    return scale * values / np.linalg.norm(values)
