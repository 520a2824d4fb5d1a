"""Methods to compare with, behind one call: the files of a pair in, displacement in voxels of the fixed grid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io import ImageFile
from mmreg.utils.shipped import find_config

from .files import PairFiles
from .pipeline import Pipeline


@dataclass(frozen=True)
class Peer:
    """A method of a comparison.

    Attributes:
        displace: Files of a pair -> ``(ndim, *S)`` float32 voxels of the fixed grid.
        settings: What a field depends on besides the files of the pair.
        needed: Files besides the two images that it sees.
    """

    displace: Callable[[PairFiles], np.ndarray]
    settings: Mapping[str, Any]
    needed: tuple[str, ...] = ()


def zero() -> Peer:
    """No displacement: what every method must be better than."""

    def displace(files: PairFiles) -> np.ndarray:
        shape = ImageFile.of(files.fixed).read('image').array.shape
        return np.zeros((len(shape), *shape), np.float32)

    return Peer(displace, {'method': 'zero'})


def convex_adam(device: str | None = None) -> Peer:
    """ConvexAdam with MIND features (Siebert et al. 2021), from the package ``convexAdam`` with its own settings.

    Raises:
        ConfigError: the package is not installed.
    """
    if not _installed('convexAdam'):
        raise ConfigError(
            'convexadam needs the package convexAdam, which is not installed: pip install "mmreg[convexadam]".'
        )
    import torch
    from convexAdam.convex_adam_MIND import convex_adam_pt

    from .model import choose_device

    place = choose_device(device)
    # Half precision is the package's choice on a GPU, where it is fast; a processor has none.
    kind = torch.float16 if place.type == 'cuda' else torch.float32

    def displace(files: PairFiles) -> np.ndarray:
        volumes = [ImageFile.of(path).read('image') for path in (files.fixed, files.moving)]
        images = [np.asarray(volume.array, np.float32) for volume in volumes]
        try:
            found = np.asarray(convex_adam_pt(*images, dtype=kind, device=place), np.float32)
        except (RuntimeError, ValueError) as error:
            reason = ' '.join(str(error).split())[:160]
            raise DataError(
                f'{files.fixed}: convexAdam cannot register {images[0].shape} voxels ({reason}); it takes volumes of '
                'about 20 voxels per axis and more.'
            ) from error
        return np.ascontiguousarray(np.moveaxis(found, -1, 0))

    return Peer(displace, {'method': 'convexadam', 'version': _version('convexAdam'), 'precision': str(kind)})


def network(model: str, checkpoint: str | None, device: str | None = None, affine: str | None = None) -> Peer:
    """A trained network, published weights by name, or a method without training behind a config (elastix).

    Args:
        model: Config, or name of published weights.
        checkpoint: Weights of the config; None where it needs none.
        device: Where it runs.
        affine: Before the network; by default none, or what published weights need.

    Raises:
        ConfigError: a network without weights.
    """
    from .inferencer import RegistrationInferencer
    from .model import names_weights

    if affine is None and checkpoint is None and names_weights(model):
        from mmreg.zoo.store import find

        affine = find(model).needs.affine
    pipeline = RegistrationInferencer(model, checkpoint, device=device)
    if pipeline.loaded.checkpoint is None and any(True for _ in pipeline.model.parameters()):
        raise ConfigError(f'{model} is a network without weights, expected {model}:CHECKPOINT.')
    prompt = ('moving_labels',) if pipeline.model.flow_head.prompt == 'moving_labels' else ()
    return _peer(pipeline, affine or 'none', (*pipeline.needed(), *prompt))


def preset(name: str | None, device: str | None = None, affine: str | None = None) -> Peer:
    """Registration without training; its affine, the preset's by default, is part of the displacement."""
    from .by_preset import PresetRegistration

    pipeline = PresetRegistration(name, device=device)
    return _peer(pipeline, affine or 'auto', pipeline.needed())


def _peer(pipeline: Pipeline, affine: str, needed: tuple[str, ...]) -> Peer:
    def displace(files: PairFiles) -> np.ndarray:
        result = pipeline(**files.given(), affine=affine, inverse=False, metrics=False)
        return np.asarray(result.array_displacement(), np.float32)

    return Peer(displace, {**pipeline.settings(), 'affine': affine}, needed)


#: Those without any option.
PEERS: Sequence[str] = ('zero', 'convexadam')


def find(text: str, device: str | None = None, affine: str | None = None) -> Peer:
    """What ``text`` names: a peer, ``register``, ``register:PRESET``, published weights, or ``CONFIG[:CHECKPOINT]``.

    Args:
        text: The method.
        device: Where it runs.
        affine: Before a network or a preset; their own by default.

    Raises:
        ConfigError: nothing of these, or it cannot run here.
    """
    head, _, tail = text.partition(':')
    if text == 'zero':
        return zero()
    if text == 'convexadam':
        return convex_adam(device)
    if head == 'register':
        return preset(tail or None, device, affine)
    if not tail:
        _check_known(text)
    return network(head, tail or None, device, affine)


def _check_known(text: str) -> None:
    """Refuse what is neither a config nor published weights."""
    from .model import names_weights

    if names_weights(text):
        return
    try:
        find_config(text)
    except ConfigError as error:
        raise ConfigError(
            f'{text!r} is no method, expected one of {", ".join(PEERS)}, register[:PRESET], fields:FOLDER, '
            f'CONFIG:CHECKPOINT, or the name of published weights ({error}).'
        ) from error


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ''
