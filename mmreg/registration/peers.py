"""Methods to compare with, behind one call: fixed and moving file in, displacement in voxels of the fixed grid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io import read_image, read_learn2reg_nifti
from mmreg.io.learn2reg import field_stems

#: ``(fixed file, moving file) -> (ndim, *S)`` float32 voxels of the fixed grid.
Displace = Callable[[str, str], np.ndarray]


def zero(fixed: str, moving: str) -> np.ndarray:
    """No displacement: what every method must be better than."""
    shape = read_image(fixed).array.shape
    return np.zeros((len(shape), *shape), np.float32)


def convex_adam(fixed: str, moving: str) -> np.ndarray:
    """ConvexAdam with MIND features (Siebert et al. 2021), from the package ``convexAdam``.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        from convexAdam.convex_adam_MIND import convex_adam_pt
    except ImportError as error:
        raise ConfigError(
            'convexadam: the package is missing, expected it installed: pip install convexAdam.'
        ) from error
    images = [np.asarray(read_image(path).array, np.float32) for path in (fixed, moving)]
    found = np.asarray(convex_adam_pt(img_fixed=images[0], img_moving=images[1]), np.float32)
    return np.ascontiguousarray(np.moveaxis(found, -1, 0))


def network(config: str, checkpoint: str | None, device: str | None = None) -> Displace:
    """A trained network."""
    from .inferencer import RegistrationInferencer

    return _pipeline(RegistrationInferencer(config, checkpoint, device=device), affine='none')


def preset(name: str | None, device: str | None = None) -> Displace:
    """Registration without training; the affine is the preset's, and part of the displacement."""
    from .register import PresetRegistration

    return _pipeline(PresetRegistration(name, device=device), affine=None)


def stored(folder: str) -> Displace:
    """Fields that another program has written: ``disp_<fixed>_<moving>.nii.gz`` in ``folder``."""

    def read(fixed: str, moving: str) -> np.ndarray:
        for stem in field_stems(fixed, moving):
            path = Path(folder) / f'{stem}.nii.gz'
            if path.is_file():
                return read_learn2reg_nifti(path)
        raise DataError(
            f'{folder}: found no field {field_stems(fixed, moving)[0]}.nii.gz, expected one for every pair.'
        )

    return read


def _pipeline(pipeline: Any, affine: str | None) -> Displace:
    def displace(fixed: str, moving: str) -> np.ndarray:
        result = pipeline(fixed, moving, affine=affine, inverse=False, metrics=False)
        return np.asarray(result.array_displacement(), np.float32)

    return displace


PEERS: Mapping[str, Displace] = {'zero': zero, 'convexadam': convex_adam}


def find(text: str, device: str | None = None) -> Displace:
    """What ``text`` names: a peer, ``register`` or ``register:PRESET``, ``fields:FOLDER``, or ``CONFIG:CHECKPOINT``.

    Raises:
        ConfigError: nothing of these.
    """
    head, _, tail = text.partition(':')
    if text in PEERS:
        return PEERS[text]
    if head == 'register':
        return preset(tail or None, device)
    if head == 'fields':
        return stored(tail)
    if tail or head.endswith('.py'):
        return network(head, tail or None, device)
    raise ConfigError(
        f'{text!r} is no method, expected one of {", ".join(PEERS)}, register[:PRESET], fields:FOLDER, '
        'CONFIG:CHECKPOINT.'
    )
