"""Where weights of the zoo lie on this machine: downloaded once, checked, converted once, ready to be run."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError, ConfigError, DataError
from mmreg.utils.atomic import replacing, write_text
from mmreg.utils.config import load_config, merge_options
from mmreg.utils.shipped import config_folder
from mmreg.utils.text_files import read_json
from mmreg.version import __version__

from .entries import Entry
from .own import own_weights
from .published import known

#: Names the folder of the weights; without it they lie in the user's cache.
VARIABLE = 'MMREG_WEIGHTS'
#: How raw files are put together; as presets do, a pair that lies well already stays as it is.
INITIALISATION = {'transform': 'affine', 'similarity': 'mi', 'margin': 0.08}


@dataclass(frozen=True)
class Ready:
    """Weights that can be run.

    Attributes:
        entry: What they are; None: mmreg's own.
        cfg: Their config, with the options they need and the preparation they were trained with.
        checkpoint: The converted file.
    """

    entry: Entry | None
    cfg: Config
    checkpoint: Path


def folder() -> Path:
    """The folder of all weights: what ``MMREG_WEIGHTS`` names, else one in the user's cache."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache('mmreg')) / 'weights'


def find(name: str) -> Entry:
    """The entry ``name``.

    Raises:
        ConfigError: there is none; the nearest are named.
    """
    entries = known()
    if name not in entries:
        names = [*own_weights(), *entries]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f'did you mean {" or ".join(near)}?' if near else f'expected one of {", ".join(names)}.'
        raise ConfigError(f'there are no weights {name!r}; {hint}')
    return entries[name]


def converted(entry: Entry) -> Path | None:
    """The converted file of an entry where it is there and was made from the right file by this version; else None."""
    place, plan = _places(entry)
    if not place.is_file() or not plan.is_file():
        return None
    try:
        told = read_json(plan)
    except DataError:
        return None
    right = isinstance(told, dict) and told.get('mmreg_version') == __version__
    return place if right and (not entry.sha256 or told.get('sha256') == entry.sha256) else None


def means_weights(name: str) -> bool:
    """Whether a bare name means weights: of mmreg's own, or published ones that can be had.

    Where a shipped config has the same name and nobody has given the file by hand, the config is meant.
    """
    if name in own_weights():
        return True
    entry = known().get(name)
    if entry is None:
        return False
    by_hand = (folder() / entry.name / entry.file_name).is_file() or converted(entry) is not None
    return bool(entry.url and entry.sha256) or by_hand or not (config_folder() / f'{name}.py').is_file()


def get(name: str) -> Path:
    """The converted weights ``name``; downloaded and converted where they are not there yet.

    Raises:
        ConfigError: there is no such entry.
        CheckpointError: the file cannot be had, is another one, or cannot be written.
    """
    entry = find(name)
    place = converted(entry)
    if place is not None:
        return place
    original = folder() / entry.name / entry.file_name
    if not (original.is_file() and (not entry.sha256 or sha256_of(original) == entry.sha256)):
        if not entry.url or not entry.sha256:
            raise CheckpointError(
                f'{entry.name}: the weights are not at an address that is known here; get their file from '
                f'{entry.link or entry.page} and run `mmreg weights add {entry.name} FILE`.'
            )
        from .download import fetch

        fetch(entry.url, original, entry.sha256, entry.size_bytes)
    return _convert(entry, original)


def add(name: str, source: str | Path) -> Path:
    """Take a file that the user got by hand as the weights ``name``: checked, copied, converted.

    Raises:
        ConfigError: there is no such entry.
        CheckpointError: there is no such file, or it is another one.
    """
    entry, source = find(name), Path(source).expanduser()
    if not source.is_file():
        raise CheckpointError(f'{source}: there is no such file, expected the weights {name} ({entry.file_name}).')
    if entry.sha256:
        found = sha256_of(source)
        if found != entry.sha256:
            raise CheckpointError(
                f'{source} is not the file of {name}: its SHA-256 is {found}, expected {entry.sha256} from {entry.url}.'
            )
    original = folder() / entry.name / entry.file_name
    if not (original.exists() and original.samefile(source)):
        with _writing(original.parent), replacing(original) as temporary:
            shutil.copyfile(source, temporary)
    return _convert(entry, original)


def ready(name: str) -> Ready:
    """Weights ``name`` with their config, mmreg's own as well; see :func:`get` for what is raised."""
    own = own_weights().get(name)
    if own is not None:
        return Ready(None, own.load_config(), own.file)
    entry = find(name)
    checkpoint = get(name)
    return Ready(entry, config_of(entry), checkpoint)


def affine_of(name: str) -> str | None:
    """The initialisation that two raw files need before the weights ``name`` see them, as ``--affine`` takes it.

    Raises:
        ConfigError: there are no such weights.
    """
    if name in own_weights():
        return 'auto'
    needed = find(name).needs.affine
    return None if needed == 'none' else needed


def config_of(entry: Entry) -> Config:
    """The shipped config of an entry with the options that its weights need and the preparation of its images."""
    cfg = load_config(config_folder() / f'{entry.config}.py')
    merge_options(cfg, dict(entry.options))
    cfg.inference = entry.needs.preparation()
    cfg.setdefault('affine', dict(INITIALISATION))
    return cfg


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else _digest(file)


def _digest(file: Any) -> str:
    found = hashlib.sha256()
    while block := file.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def _places(entry: Entry) -> tuple[Path, Path]:
    """The converted file and its plan."""
    home = folder() / entry.name
    return home / f'{entry.name}.pth', home / 'plan.json'


def _convert(entry: Entry, original: Path) -> Path:
    place, plan = _places(entry)
    with _writing(place.parent):
        told = {
            'mmreg_version': __version__,
            'sha256': sha256_of(original),
            'config': entry.config,
            'options': dict(entry.options),
            'inference': entry.needs.preparation(),
            'entry': entry.as_dict(),
        }
        convert_file(entry.family, original, place, weights=entry.name, plan={'inference': told['inference']})
        write_text(plan, json.dumps(told, indent=2, ensure_ascii=False) + '\n')
    return place


class _writing:
    """Turns what the system says of a folder that cannot be written into one sentence."""

    def __init__(self, place: Path):
        self.place = place

    def __enter__(self) -> None:
        try:
            self.place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._refuse(error)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            self._refuse(error)

    def _refuse(self, error: OSError) -> None:
        raise CheckpointError(
            f'{self.place} cannot be written ({error.strerror or error}), expected a folder with room; {VARIABLE} may '
            'name another one.'
        ) from error
