"""The shipped config that converted weights run with, and what has to be said otherwise in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreg.utils.checkpoint import read_checkpoint, weights_of
from mmreg.utils.config import load_config
from mmreg.zoo.cards import find_cards
from mmreg.zoo.published import PUBLISHED

from .described_model import fitting_options, leaves_that_differ


def config_of_weights(path: str | Path) -> tuple[str, list[str]] | None:
    """Name of the config that needs the fewest ``--cfg-options KEY=VALUE`` for a converted file, and those.

    Args:
        path: A checkpoint that :func:`~mmreg.converters.files.convert_file` wrote, with its ``meta``.

    Returns:
        None where no config of its method fits.
    """
    content = read_checkpoint(path)
    meta, weights = content.get('meta') or {}, weights_of(content)
    described = meta.get('model')
    if not isinstance(described, Mapping) or not described:
        return None
    family = str(meta.get('family', ''))
    method, usual = family.partition('_')[0], {entry.config for entry in PUBLISHED if entry.family == family}
    candidates = [
        (card.config, load_config(card.config)) for card in find_cards() if card.config.stem.startswith(method)
    ]
    told = 'integrator' not in (meta.get('untold') or ())
    near = sorted(candidates, key=lambda found: (*_distance(described, found[1]), found[0].stem not in usual))
    for config, cfg in near[:2]:
        options = fitting_options(described, cfg, weights, path)
        if options is not None:
            return config.name, options + (_integration(described, cfg) if told else [])
    return None


def _distance(described: Mapping[str, Any], cfg: Config) -> tuple[bool, int]:
    """How much of a description a config says otherwise; other kinds of parts come last."""
    differing = leaves_that_differ(described, cfg)
    return any(key.endswith('.type') for key in differing), len(differing)


def _integration(described: Mapping[str, Any], cfg: Config) -> list[str]:
    """What the file tells of the integration, which no weights show."""
    differing = leaves_that_differ({'integrator': described.get('integrator', {})}, cfg)
    return [f'{key}={value!r}'.replace(' ', '') for key, value in differing.items()]
