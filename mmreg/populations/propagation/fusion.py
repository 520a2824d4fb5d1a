"""Many label maps of one scan made into one: by majority, weights of similarity, STAPLE, or joint label fusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from mmreg.errors import ConfigError
from mmreg.populations.averages import intensity_scale

from .joint import joint_weights, patch_similarity


@dataclass(frozen=True)
class Votes:
    """What the atlases say of a scan, all on its grid.

    Attributes:
        image: ``S`` float32, the scan.
        images: ``(N, *S)`` float32, the atlases' images in it.
        labels: ``(N, *S)`` int32, their label maps.
    """

    image: np.ndarray
    images: np.ndarray
    labels: np.ndarray

    def values(self) -> list[int]:
        """Labels that any atlas has, without the background."""
        return [int(value) for value in np.unique(self.labels) if value]


@dataclass(frozen=True)
class Fused:
    """One label map.

    Attributes:
        labels: ``S`` int32.
        share: ``S`` float32, 0 to 1: weight of the atlases that agree with it.
    """

    labels: np.ndarray
    share: np.ndarray


def majority(votes: Votes) -> Fused:
    """The label that most atlases have; of equal ones the lower.

    Example:
        >>> labels = np.array([[[1, 2]], [[1, 0]], [[0, 2]]])
        >>> majority(Votes(np.zeros((1, 2)), np.zeros((3, 1, 2)), labels)).labels.tolist()
        [[1, 2]]
    """
    return _weighted(votes, np.ones(len(votes.labels), np.float32).reshape(-1, *[1] * votes.image.ndim))


def locally_weighted(votes: Votes, radius: int = 2, sharpness: float = 4.0) -> Fused:
    """Votes weighted by how alike scan and atlas are around each voxel.

    Args:
        votes: What the atlases say.
        radius: Of the patch, voxels.
        sharpness: Exponent on the similarity.

    Source: Artaechevarria et al., Combination Strategies in Multi-Atlas Image Segmentation, IEEE TMI 2009 (local
    weights as a power of the similarity; here local correlation mapped to 0..1).
    """
    weights = [patch_similarity(votes.image, image, radius) ** sharpness for image in votes.images]
    return _weighted(votes, np.stack(weights) + 1e-6)


def staple(votes: Votes) -> Fused:
    """STAPLE: what each atlas gets right and wrong is estimated together with the labels, by SimpleITK.

    Source: Warfield, Zou, Wells, Simultaneous Truth and Performance Level Estimation, IEEE TMI 2004; labels are
    estimated one against all others, and the most probable one is kept.
    """
    best = np.full(votes.image.shape, 0.5, np.float32)
    found = np.zeros(votes.image.shape, np.int32)
    for value in votes.values():
        maps = [sitk.GetImageFromArray((labels == value).astype(np.uint8)) for labels in votes.labels]
        probable = sitk.GetArrayFromImage(sitk.STAPLE(maps, 1.0)).astype(np.float32)
        probable[~(votes.labels == value).any(0)] = 0
        wins = probable > best
        found[wins], best[wins] = value, probable[wins]
    nothing = found == 0
    best[nothing] = (votes.labels == 0).mean(0)[nothing]
    return Fused(found, best)


def joint(votes: Votes, radius: int = 2, alpha: float = 0.1, beta: float = 2.0) -> Fused:
    """Joint label fusion: weights that take into account that atlases err alike.

    See :func:`mmreg.populations.propagation.joint.joint_weights` for the arguments and the source.
    """
    weights = joint_weights(votes.image, votes.images, radius, alpha, beta, where=_disputed(votes.labels))
    return _weighted(votes, weights)


#: Ways to fuse, by name.
FUSIONS: dict[str, Callable[[Votes], Fused]] = {
    'majority': majority,
    'weighted': locally_weighted,
    'staple': staple,
    'joint': joint,
}


def fuse(votes: Votes, how: str) -> Fused:
    """Fuse by name.

    Raises:
        ConfigError: no such way.
    """
    if how not in FUSIONS:
        raise ConfigError(f'fusion is {how!r}, expected one of {", ".join(FUSIONS)}.')
    return FUSIONS[how](votes)


def normalised(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images divided by the median of their foreground, so that their differences mean something."""
    return [(image / intensity_scale(image)).astype(np.float32) for image in images]


def disagreement(fused: Fused) -> np.ndarray:
    """``S`` float32: 0 where all atlases agree, 1 where none agrees with the result."""
    return (1 - np.clip(fused.share, 0, 1)).astype(np.float32)


def _disputed(labels: np.ndarray) -> np.ndarray:
    """``S`` bool: where the atlases say different things; elsewhere weights change nothing."""
    return (labels != labels[:1]).any(0)


def _weighted(votes: Votes, weights: np.ndarray) -> Fused:
    """The label with the largest sum of weights."""
    total = np.broadcast_to(weights, votes.labels.shape).sum(0)
    best = (weights * (votes.labels == 0)).sum(0)
    found = np.zeros(votes.image.shape, np.int32)
    for value in votes.values():
        share = (weights * (votes.labels == value)).sum(0)
        wins = share > best
        found[wins], best[wins] = value, share[wins]
    return Fused(found, (best / np.where(total == 0, 1, total)).astype(np.float32))
