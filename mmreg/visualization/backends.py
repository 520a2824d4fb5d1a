"""Weights & Biases without an account: never a login prompt, one run across resumes."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from mmengine.config import Config
from mmengine.visualization import WandbVisBackend as _WandbVisBackend
from mmengine.visualization.vis_backend import force_init_env

from mmreg.registry import VISBACKENDS
from mmreg.utils.atomic import write_text

_RUN_ID_FILE = 'wandb_run_id'
#: Where wandb has its service: in old versions, and in 0.31. wandb itself is not asked: its import reports errors.
_HOSTS = ('api.wandb.ai', 'api.forge.coreweave.com')


def wandb_mode() -> str:
    """``WANDB_MODE`` if set; online where an API key is known; offline otherwise."""
    if os.environ.get('WANDB_MODE'):
        return os.environ['WANDB_MODE']
    return 'online' if os.environ.get('WANDB_API_KEY') or _has_login() else 'offline'


def _has_login() -> bool:
    """Whether `wandb login` left a key in the user's netrc."""
    import netrc

    try:
        known = netrc.netrc(os.environ.get('NETRC')).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any(host in known for host in _hosts())


def _hosts() -> list[str]:
    """Under which names a key may lie: the one that is asked for, else those that versions of wandb use."""
    asked = os.environ.get('WANDB_BASE_URL')
    return [urlsplit(asked).netloc] if asked else list(_HOSTS)


@VISBACKENDS.register_module()
class WandbVisBackend(_WandbVisBackend):
    """MMEngine's backend, offline unless an account is configured; a resumed run continues its curves.

    The id of the run is kept in the work dir. Scalars of training are drawn against the iteration, those of
    validation against the step the engine counts. The code of the working directory is uploaded only where
    ``log_code_name`` asks for it.

    Args:
        save_dir: Where the files go (the Runner says).
        init_kwargs: Arguments of ``wandb.init``, e.g. ``project``, ``name``, ``mode``.
        run_id_dir: Folder that keeps the run's id; the work dir (two above ``save_dir``) when None.
        kwargs: Other arguments of MMEngine's backend.
    """

    def __init__(
        self, save_dir: str, init_kwargs: dict[str, Any] | None = None, run_id_dir: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(save_dir, init_kwargs=dict(init_kwargs or {}), **kwargs)
        self._run_id_dir = run_id_dir

    def _init_env(self) -> Any:
        options = self._init_kwargs
        options.setdefault('mode', wandb_mode())
        if options['mode'] != 'online':
            # Newer versions look up the host of their own error reports, offline as well.
            os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')
        options.setdefault('id', self._run_id())
        options.setdefault('resume', 'allow' if options['mode'] == 'online' else None)
        super()._init_env()

    def _run_id(self) -> str:
        folder = Path(self._run_id_dir) if self._run_id_dir else Path(self._save_dir).parents[1]
        file = folder / _RUN_ID_FILE
        if file.is_file():
            return file.read_text(encoding='utf-8').strip()
        name = uuid.uuid4().hex[:12]
        write_text(file, name)
        return name

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Put the config's values into the run."""
        self._wandb.config.update(config.to_dict(), allow_val_change=True)
        if self._log_code_name:
            self._wandb.run.log_code(name=self._log_code_name)

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Log a picture ``(H, W, 3)`` at a step."""
        self._wandb.log({name: self._wandb.Image(image), 'val_step': step}, commit=self._commit)

    @force_init_env
    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Log scalars at an iteration, or at a step of validation."""
        axis = 'iter' if 'lr' in scalar_dict or 'loss' in scalar_dict else 'val_step'
        self._wandb.log({axis: step, **scalar_dict}, commit=self._commit)

    def close(self) -> None:
        """End the run, so that everything is sent or kept."""
        if hasattr(self, '_wandb') and self._wandb.run is not None:
            self._wandb.finish()
