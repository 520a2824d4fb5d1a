"""Where the configs that belong to mmreg lie: beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from difflib import get_close_matches
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


#: In front of the name of a config that comes with mmreg, in ``_base_`` and wherever a config is asked for.
SCOPE = 'mmreg::'


def shipped_configs() -> dict[str, Path]:
    """Name -> file of every config that comes with mmreg; bases as ``_base_/...``."""
    folder = config_folder()
    found = sorted(folder.glob('*.py')) + sorted((folder / '_base_').rglob('*.py'))
    return {path.relative_to(folder).with_suffix('').as_posix(): path for path in found}


def find_config(source: str | Path) -> Path:
    """The file of a config: a path, or the name of one that comes with mmreg, with or without ``.py``.

    A file of that name wins; ``mmreg::NAME`` is never a file.

    Raises:
        ConfigError: neither exists; near names are suggested.

    Example:
        >>> find_config('eoir_lumir').name, find_config('mmreg::_base_/default_runtime.py').name
        ('eoir_lumir.py', 'default_runtime.py')
    """
    text = str(source)
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        return path
    name = text.removeprefix(SCOPE).removesuffix('.py')
    known = shipped_configs()
    if name in known:
        return known[name]
    close = get_close_matches(Path(name).name, known, n=3, cutoff=0.6)
    hint = f'; did you mean {" or ".join(map(repr, close))}?' if close else '.'
    raise ConfigError(f'{text}: there is no such config file{hint}')
