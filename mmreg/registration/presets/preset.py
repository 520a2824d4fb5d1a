"""Presets: configs of a registration that needs no training, by name or as a file of one's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreg.errors import ConfigError
from mmreg.registration.affine.settings import AffineSettings
from mmreg.registration.model import ConfigText, read_config
from mmreg.registration.optimisation.settings import SHARED, Level, Settings
from mmreg.registration.working.preparation import DEFAULT_INTENSITY
from mmreg.registration.working.preparation import KEYS as PREPARATION_KEYS
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder

PREFIX = 'register_'
#: Keys that the sections of a preset know, whether its config names them or not.
_SETTINGS: dict[str, tuple[str, ...]] = {
    'optimisation': (*(f.name for f in fields(Settings)), *SHARED),
    'levels': tuple(f.name for f in fields(Level)),
    'affine': (*(f.name for f in fields(AffineSettings)), 'trust_headers'),
    'inference': PREPARATION_KEYS,
}
#: Taken where nothing speaks for another one: for one contrast, and for two.
FALLBACK, FALLBACK_MULTIMODAL = 'generic', 'generic_multimodal'
#: The same for 2-D pictures.
PLANAR, PLANAR_MULTIMODAL = 'planar', 'planar_multimodal'


@dataclass(frozen=True, eq=False)
class Preset:
    """A preset and what it says about itself.

    Attributes:
        name: What ``--preset`` takes.
        path: Its config.
        config: The merged config: ``model``, ``optimisation``, ``affine``, ``inference``, ``preset``.
    """

    name: str
    path: Path
    config: ConfigText

    @property
    def cfg(self) -> Config:
        """The config itself."""
        assert self.config.cfg is not None
        return self.config.cfg

    @property
    def summary(self) -> str:
        """What it says of itself in one line."""
        return str((self.cfg.get('preset') or {}).get('summary', ''))

    @property
    def suits(self) -> str:
        """What it says it is for."""
        return str((self.cfg.get('preset') or {}).get('suits', ''))

    def main_settings(self) -> dict[str, str]:
        """The settings a reader asks for first, in words."""
        losses = self.cfg.model.get('losses') or {}
        levels = self.cfg.optimisation.get('levels') or []
        inference = self.cfg.get('inference') or {}
        spacing = inference.get('spacing')
        return {
            'losses': ', '.join(f'{name}: {_brief(loss)}' for name, loss in losses.items()),
            'levels': ', '.join(map(_level_words, levels)),
            **_curve_words(self.cfg.get('curves')),
            'smoothing': _smoothing_words(self.cfg.optimisation),
            'affine': _affine_words(self.cfg.get('affine')),
            'working spacing': 'that of the fixed image' if spacing is None else f'{spacing} mm',
            'intensities': ', '.join(_brief(step) for step in inference.get('intensity') or DEFAULT_INTENSITY),
        }

    def describe(self) -> dict[str, Any]:
        """For the plan."""
        return {'name': self.name, 'file': str(self.path), 'summary': self.summary}


def find_presets() -> dict[str, Path]:
    """Name -> config of every preset that comes with mmreg."""
    return {path.stem.removeprefix(PREFIX): path for path in sorted(config_folder().glob(f'{PREFIX}*.py'))}


def load_preset(source: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Preset:
    """A preset by name, or a config file of one's own.

    Raises:
        ConfigError: there is no such preset, or the config lacks what a preset needs.
    """
    text = str(source)
    known = find_presets()
    name = text.replace('-', '_')
    if name in known:
        path = known[name]
    elif text.endswith(('.py', '.json', '.yaml', '.yml')) or Path(text).is_file():
        path, name = Path(text), Path(text).stem.removeprefix(PREFIX)
    else:
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f'; did you mean {close[0]!r}?' if close else ','
        raise ConfigError(f'--preset {text}: there is no such preset{hint} expected {", ".join(known)} or a file.')
    cfg = read_config(load_config(path), _with_defaults(cfg_options))
    for key in ('model', 'optimisation'):
        if not isinstance(cfg.get(key), Mapping):
            raise ConfigError(f'{path} has no key {key}, expected a preset such as {PREFIX}{FALLBACK}.py.')
    return Preset(name, path, ConfigText(cfg))


def _with_defaults(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options, where keys that a section has by default need no ``+`` to be set."""
    return {f'+{key}' if _has_default(key) else key: value for key, value in (options or {}).items()}


def _has_default(key: str) -> bool:
    section, _, name = key.partition('.')
    if section == 'optimisation' and name.startswith('levels.'):
        section, name = 'levels', name.split('.', 2)[-1]
    return name in _SETTINGS.get(section, ())


def list_presets() -> list[Preset]:
    """Every preset that comes with mmreg.

    Example:
        >>> 'generic' in [preset.name for preset in list_presets()]
        True
    """
    return [load_preset(path) for path in find_presets().values()]


@cache
def presets_digest() -> str:
    """SHA-256 of all presets and their bases: results of an automatic choice depend on them."""
    total = hashlib.sha256()
    folder = config_folder()
    for path in [*find_presets().values(), *sorted((folder / '_base_' / 'registration').glob('*.py'))]:
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def _brief(config: Mapping[str, Any]) -> str:
    """``LNCC(window=9, weight=1.0)``."""
    rest = ', '.join(f'{key}={value}' for key, value in config.items() if key != 'type')
    return f'{config.get("type")}({rest})' if rest else str(config.get('type'))


def _level_words(level: Mapping[str, Any]) -> str:
    """``4 mm: 50 iterations``."""
    if level.get('spacing') is not None:
        grid = f'{level["spacing"]:g} mm'
    else:
        grid = f'{level.get("scale", 1):g} times the voxels'
    return f'{grid}: {level.get("iterations")} iterations'


def _smoothing_words(optimisation: Mapping[str, Any]) -> str:
    """Standard deviations of the Gaussians on increments and field, level by level."""
    words = []
    for level in Settings.parse(optimisation).levels:
        length, unit = (level.scale or 1.0, 'voxels') if level.spacing is None else (level.spacing, 'mm')
        update, field = (length * level.field * width for width in (level.smooth_update, level.smooth_field))
        alike = '' if level.smooth_alike is None else f' ({length * level.field * level.smooth_alike:.3g} where alike)'
        words.append(f'{update:.3g} and {field:.3g}{alike} {unit}')
    return f'increments and field over {", ".join(words)}'


def _curve_words(curves: Mapping[str, Any] | None) -> dict[str, str]:
    if curves is None:
        return {}
    return {'both contrasts': f'then as {curves["preset"]}, {", ".join(map(_level_words, curves["levels"]))}'}


def _affine_words(affine: Mapping[str, Any] | None) -> str:
    if affine is None:
        return 'none: the headers are trusted'
    rest = ', '.join(f'{key} {value}' for key, value in affine.items() if key != 'transform')
    return f'{affine.get("transform", "affine")}{f" ({rest})" if rest else ""}'
