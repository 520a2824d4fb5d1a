"""Weights of mmreg's own: small networks trained on images that it makes itself, shipped with the package.

Each lies in ``mmreg/zoo/own_weights`` as ``NAME.safetensors`` with its card ``NAME.json`` beside it: the folder is the
list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreg.errors import CheckpointError
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder
from mmreg.utils.text_files import read_json

FOLDER = Path(__file__).parent / 'own_weights'


@dataclass(frozen=True)
class OwnWeights:
    """One network that comes with mmreg, and what its card says.

    Attributes:
        name: How a user asks for it.
        config: Name of the config that it runs with, which trained it as well.
        summary: What it is, in one line.
        suits: What it is for.
        unsuited: What it is not for.
        trained_on: Where its training images came from.
        training: Command, steps, seed and time, in words.
        measured: What it reached on files, one sentence each.
        parameters: Numbers in the network.
        presets: Presets in whose stead ``--fast`` takes it; none: of all others.
    """

    name: str
    config: str
    summary: str
    suits: str
    unsuited: str
    trained_on: str
    training: str
    measured: Sequence[str]
    parameters: int
    presets: Sequence[str] = ()

    @property
    def file(self) -> Path:
        """Its weights."""
        return FOLDER / f'{self.name}.safetensors'

    def load_config(self) -> Config:
        """The config that it runs with."""
        return load_config(config_folder() / f'{self.config}.py')

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), 'measured': list(self.measured), 'presets': list(self.presets)}


@cache
def own_weights() -> dict[str, OwnWeights]:
    """All networks that come with mmreg, by name.

    Raises:
        CheckpointError: a card that does not say what it should; the installation is damaged.
    """
    return {path.stem: _card(path) for path in sorted(FOLDER.glob('*.json'))}


def _card(path: Path) -> OwnWeights:
    told = read_json(path)
    known = {one.name for one in fields(OwnWeights)} - {'name'}
    if not isinstance(told, dict) or set(told) - known or known - {'presets'} - set(told):
        found = sorted(told) if isinstance(told, dict) else type(told).__name__
        raise CheckpointError(f'{path} has {found}, expected the keys {sorted(known)}.')
    return OwnWeights(path.stem, **told)
