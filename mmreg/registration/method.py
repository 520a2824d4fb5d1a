"""How a pair is registered: a source of displacements, what is done to the images, the affine search, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmreg.io.plain import plain

from .model import ConfigText
from .sources.base import Source
from .working.preparation import Preparation


@dataclass(frozen=True, eq=False)
class Method:
    """Everything that decides a result, besides the images.

    Attributes:
        source: Makes the displacement.
        preparation: Decides the working grid; sources prepare intensities by their own.
        affine: Keyword arguments of the affine search; None: headers only, unless one is asked for.
        configs: Merged configs by what they are for: ``config`` and, with a network, ``refinement``.
        preset: ``name``, ``file``, ``summary``, ``chosen`` (by whom) and ``reasons`` (in words); empty without one.
        checkpoint: ``path`` and ``sha256`` of the weights; None without.
        meta: What the checkpoint says about its training.
    """

    source: Source
    preparation: Preparation
    affine: Mapping[str, Any] | None = None
    configs: Mapping[str, ConfigText] = field(default_factory=dict)
    preset: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config_texts(self) -> dict[str, str | None]:
        """The whole merged configs as text."""
        return {name: config.text for name, config in self.configs.items()}

    def words(self) -> str:
        """The preset and the reasons for it, in one line; empty without one."""
        if not self.preset:
            return ''
        reasons = '; '.join(self.preset.get('reasons') or ())
        return f'preset {self.preset["name"]}, chosen {self.preset["chosen"]}' + (f': {reasons}' if reasons else '')

    def settings(self) -> dict[str, Any]:
        """What a result depends on besides the files and the options of a run; plain values."""
        return plain(
            {
                **self.config_texts,
                'checkpoint': (self.checkpoint or {}).get('sha256'),
                'preparation': self.preparation.as_dict(),
                **self.source.settings(),
            }
        )
