"""A checkpoint whose large-kernel blocks are one convolution each, for inference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmreg.errors import ConfigError
from mmreg.models.blocks.branches import reparameterise
from mmreg.models.settings import warn_of_other_settings
from mmreg.registry import REGISTRARS
from mmreg.utils.atomic import replacing
from mmreg.utils.checkpoint import load_weights
from mmreg.utils.config import load_config, merge_options


def reparameterise_checkpoint(
    config: str | Path, source: str | Path, target: str | Path, cfg_options: Mapping[str, Any] | None = None
) -> int:
    """Write to ``target`` the checkpoint ``source`` of ``config`` in its single-kernel form.

    Load it with ``model.backbone.fused=True``. Outputs agree to rounding (1e-5 of a network's output).

    Returns:
        How many weights (numbers) the written checkpoint has.

    Raises:
        ConfigError: the model has no block that can be merged.
        CheckpointError: the checkpoint does not belong to the config.
    """
    cfg = load_config(config)
    merge_options(cfg, cfg_options)
    if cfg.get('model') is None:
        raise ConfigError(f'{config} has no model, expected the config of a network.')
    model = REGISTRARS.build(cfg.model)
    warn_of_other_settings(model, load_weights(model, source), source)
    reparameterise(model)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    meta = {'reparameterised': True, 'source': Path(source).name}
    with replacing(target) as temporary:
        torch.save({'state_dict': state, 'meta': meta}, temporary)
    return sum(value.numel() for value in state.values())
