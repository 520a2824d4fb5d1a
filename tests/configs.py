"""The configs of ``configs/``, each read once per process: many tests look at all of them."""

import copy
import functools
import os
from pathlib import Path

from mmengine.config import Config

from mmreg.utils.config import load_config

FOLDER = Path(__file__).parents[1] / 'configs'
ALL = sorted(FOLDER.glob('*.py'))


def look(path: str | Path) -> Config:
    """A config that nobody changes; read again where ``MMREG_DATA`` names another folder."""
    return _read(Path(path), os.environ.get('MMREG_DATA'))


def read(path: str | Path) -> Config:
    """A copy of one's own, to be changed or built."""
    return copy.deepcopy(look(path))


@functools.cache
def _read(path: Path, _: str | None) -> Config:
    return load_config(path)
