"""A model from a config and a checkpoint, ready to be run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmreg.errors import ConfigError
from mmreg.models import Registrar
from mmreg.models.settings import warn_of_other_settings
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.checkpoint import load_weights
from mmreg.utils.config import load_config, merge_options
from mmreg.zoo.published import known


@dataclass(frozen=True, eq=False)
class ConfigText:
    """A merged config; its text is made once, when first asked for."""

    cfg: Config | None

    @cached_property
    def text(self) -> str | None:
        return None if self.cfg is None else self.cfg.pretty_text


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> Registrar:
    """Build the model of a config, load its weights, and put it on a device in evaluation mode.

    Args:
        config: Path of a config (it is Python and is executed), a Config, or the name of published weights
            (`mmreg weights` lists them), which are then downloaded once and need no checkpoint.
        checkpoint: Weights; the config's ``load_from`` by default, random weights where there is none.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ...; the GPU where there is one by default.
        cfg_options: Changes of config keys, as ``--cfg-options`` takes them.

    Returns:
        The registrar, with ``cfg`` (the merged config), ``checkpoint`` (path or None) and ``checkpoint_meta`` (what
        the checkpoint says about itself: plan, versions, seed).

    Raises:
        ConfigError: the config cannot be read or has no model, or there is no such device.
        CheckpointError: the checkpoint is damaged, holds code, or belongs to another architecture.

    A converted checkpoint that fits the network but was trained with other settings is loaded with a warning.
    """
    register_all_modules()
    if checkpoint is None and names_weights(config):
        from mmreg.zoo.store import ready

        found = ready(str(config))
        config, checkpoint = found.cfg, found.checkpoint
    cfg = read_config(config, cfg_options)
    if cfg.get('model') is None:
        raise ConfigError(f'{_name(config)} has no key model, expected the config of a registration method.')
    target = choose_device(device)
    model = REGISTRARS.build(cfg.model)
    checkpoint = checkpoint or cfg.get('load_from')
    model.checkpoint_meta = load_weights(model, checkpoint) if checkpoint else {}
    warn_of_other_settings(model, model.checkpoint_meta, checkpoint or '')
    model.checkpoint = None if checkpoint is None else Path(checkpoint)
    model.cfg = cfg
    return model.to(target).eval()


def names_weights(config: object) -> bool:
    """Whether ``config`` is the name of an entry of the zoo, and no file."""
    return isinstance(config, str) and config in known() and not Path(config).exists()


def read_config(config: str | Path | Config, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """The config of a path, or a copy of ``config`` itself, with the options merged into it."""
    # Config.copy() would share what it holds, and the options change that in place.
    cfg = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    merge_options(cfg, cfg_options)
    return cfg


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """The device of that name, the GPU where there is one by default.

    Raises:
        ConfigError: no such device on this machine.
    """
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f'device {device!r} is unknown, expected cpu, cuda or cuda:N.') from error
    if target.type == 'cuda' and (target.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f'device {device!r} was asked for, found {torch.cuda.device_count()} CUDA devices.')
    return target


def _name(config: str | Path | Config) -> str:
    return str(config.filename or 'the config') if isinstance(config, Config) else str(config)
