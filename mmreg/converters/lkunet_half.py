"""LKU-Net's half-resolution OASIS checkpoints: the same keys, of which the finest decoder level is never used."""

from __future__ import annotations

from .lkunet import family

FAMILY = family('lkunet_half', ['up4', 'dc7', 'dc8', 'dc10'], 'LKU-Net: OASIS half-resolution network')
