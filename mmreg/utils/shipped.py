"""Where the configs that belong to mmreg lie: beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path

from mmreg.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]


def config_folder() -> Path:
    """The folder ``configs`` of this mmreg.

    Raises:
        ConfigError: the installation lacks it.
    """
    for folder in (_PACKAGE / 'configs', _PACKAGE.parent / 'configs'):
        if (folder / '_base_').is_dir():
            return folder
    raise ConfigError(
        f'{_PACKAGE / "configs"}: found no configs in this installation of mmreg, expected them; install it again.'
    )
