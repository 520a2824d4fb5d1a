"""A model from a config and a checkpoint, ready to be run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmreg.errors import CheckpointError, ConfigError
from mmreg.models import Registrar
from mmreg.models.settings import warn_of_other_settings
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.checkpoint import load_weights
from mmreg.utils.config import load_config, merge_options
from mmreg.zoo.store import means_weights

from .described_model import config_of_checkpoint, explained
from .inputs import digest


@dataclass(frozen=True, eq=False)
class ConfigText:
    """A merged config; its text is made once, when first asked for."""

    cfg: Config | None

    @cached_property
    def text(self) -> str | None:
        """The config as text, None where there is none."""
        return None if self.cfg is None else self.cfg.pretty_text


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with everything that is known of it.

    Attributes:
        registrar: The network, on its device, in evaluation mode.
        config: The merged config it was built from; None for a registrar that was built by hand.
        checkpoint: File of the weights; None for random ones.
        meta: What the checkpoint says about itself: plan, versions, seed.
    """

    registrar: Registrar
    config: ConfigText
    checkpoint: Path | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Registrar) -> LoadedModel:
        """What a module from :func:`init_model` knows of itself; of any other registrar only the module is known."""
        found = (getattr(model, name, None) for name in ('cfg', 'checkpoint', 'checkpoint_meta'))
        cfg, checkpoint, meta = found
        return cls(model.eval(), ConfigText(cfg), checkpoint, meta or {})

    @property
    def cfg(self) -> Mapping[str, Any]:
        """The config; empty where there is none."""
        return self.config.cfg or {}

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of the checkpoint, computed once; None without one."""
        return None if self.checkpoint is None else digest(self.checkpoint)

    def described_checkpoint(self) -> dict[str, Any] | None:
        """Path and SHA-256 of the weights, for the plan; None without any."""
        return None if self.checkpoint is None else {'path': str(self.checkpoint), 'sha256': self.digest}


def load_model(
    config: str | Path | Config | None,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Build the model of a config, load its weights, and put it on a device in evaluation mode.

    Args:
        config: Name of a config that comes with mmreg, path of one (it is Python and is executed), a Config, or the
            name of published weights (`mmreg weights` lists them), which are then downloaded once and need no
            checkpoint; None: a converted checkpoint says itself which network it belongs to.
        checkpoint: Weights; the config's ``load_from`` by default, random weights where there is none.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ...; the GPU where there is one by default.
        cfg_options: Changes of config keys, as ``--cfg-options`` takes them.

    Raises:
        ConfigError: the config cannot be read or has no model, or there is no such device.
        CheckpointError: the checkpoint is damaged, holds code, or belongs to another architecture.

    A converted checkpoint that fits the network but was trained with other settings is loaded with a warning.

    Example:
        >>> loaded = load_model(Config(dict(model=dict(
        ...     type='Registrar', ndim=2, backbone=dict(type='ImagePyramid'), flow_head=dict(type='FreeField'),
        ... ))), device='cpu')
        >>> loaded.registrar.ndim, loaded.checkpoint
        (2, None)
    """
    register_all_modules()
    if checkpoint is None and names_weights(config):
        from mmreg.zoo.store import ready

        found = ready(str(config))
        config, checkpoint = found.cfg, found.checkpoint
    if config is None:
        if checkpoint is None:
            raise ConfigError('neither a config nor a checkpoint was given, expected at least one of them.')
        config = config_of_checkpoint(checkpoint)
    cfg = read_config(config, cfg_options)
    if cfg.get('model') is None:
        raise ConfigError(f'{_name(config)} has no key model, expected the config of a registration method.')
    target = choose_device(device)
    registrar = REGISTRARS.build(cfg.model)
    checkpoint = checkpoint or cfg.get('load_from')
    meta = _load(registrar, cfg, checkpoint) if checkpoint else {}
    warn_of_other_settings(registrar, meta, checkpoint or '')
    return LoadedModel(
        registrar.to(target).eval(), ConfigText(cfg), None if checkpoint is None else Path(checkpoint), meta
    )


def _load(registrar: Registrar, cfg: Config, checkpoint: str | Path) -> dict[str, Any]:
    """Load weights; where they do not fit, the error says what to do."""
    try:
        return load_weights(registrar, checkpoint)
    except CheckpointError as error:
        raise explained(error, registrar, cfg, checkpoint) from error


def init_model(
    config: str | Path | Config | None,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> Registrar:
    """The network of a config as a module, as :func:`load_model` loads it.

    Returns:
        The registrar; for users of MMEngine's other toolboxes it carries ``cfg`` (the merged config), ``checkpoint``
        (path or None) and ``checkpoint_meta`` (what the checkpoint says about itself).

    Example:
        >>> model = init_model(Config(dict(model=dict(
        ...     type='Registrar', ndim=2, backbone=dict(type='ImagePyramid'), flow_head=dict(type='FreeField'),
        ... ))), device='cpu')
        >>> model.cfg.model.type
        'Registrar'
    """
    loaded = load_model(config, checkpoint, device, cfg_options)
    module = loaded.registrar
    module.cfg, module.checkpoint, module.checkpoint_meta = loaded.config.cfg, loaded.checkpoint, loaded.meta
    return module


def names_weights(config: object) -> bool:
    """Whether ``config`` is the name of published weights that can be had or of mmreg's own, and no file."""
    return isinstance(config, str) and means_weights(config) and not Path(config).exists()


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
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f'device {str(device)!r} is unknown, expected cpu, cuda or cuda:N.') from error
    if target.type not in ('cpu', 'cuda'):
        raise ConfigError(f'device {str(device)!r} was asked for, expected cpu, cuda or cuda:N.')
    if target.type == 'cuda' and (target.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f'device {device!r} was asked for, found {torch.cuda.device_count()} CUDA devices.')
    return target


def _name(config: str | Path | Config) -> str:
    return str(config.filename or 'the config') if isinstance(config, Config) else str(config)
