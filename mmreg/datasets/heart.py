"""Beating hearts without patients: 2-D anatomies of their own, contracted by a known motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mmreg.registry import DATASETS
from mmreg.spatial import identity_grid, resize_field, scaling_and_squaring

from .base import Index, PairDataset
from .fraction import seeded_fraction
from .pairing import IndexPair
from .seeding import stable_seed
from .synthesis import smooth_noise
from .transforms.roles import DISPLACEMENT, DISPLACEMENT_VALID

_ROLE_SHAPE, _ROLE_MOTION, _ROLE_NOISE = 11, 12, 13
NAMES = ('left ventricle', 'myocardium', 'right ventricle')


@dataclass(frozen=True)
class Motion:
    """How far hearts move.

    Attributes:
        contraction: Range of the share by which the inner wall moves towards the middle.
        wander: Standard deviation of the smooth random part of the velocity, voxels.
        knots: Distance of its control points, voxels.
        noise: Standard deviation of the noise of either image; intensities are in [0, 1].
    """

    contraction: tuple[float, float] = (0.2, 0.45)
    wander: float = 0.8
    knots: float = 16.0
    noise: float = 0.02


@DATASETS.register_module()
class BeatingHearts(PairDataset):
    """Simulated short-axis slices: fixed is the relaxed heart, moving the contracted one, with the true field.

    Every subject has an anatomy of its own (position, size and shape of the ventricles, brightness, texture), so that
    unseen subjects are really unseen. The moving image is the same anatomy read at positions moved by the backward
    flow of a random velocity, contraction plus smooth noise; the true displacement is the forward flow. Nothing is
    interpolated but the texture. Labels: 1 left ventricle, 2 myocardium, 3 right ventricle.

    Args:
        first: Number of the first subject.
        count: How many subjects.
        size: Voxels per axis.
        subject_seed: Another family for another seed; independent of the run's seed.
        motion: Arguments of :class:`Motion`.
        fraction, fraction_seed: Share of the subjects, see :func:`~mmreg.datasets.fraction.seeded_fraction`.
        kwargs: See :class:`PairDataset`; subjects are kept in memory unless told otherwise.
    """

    PREPROCESS: Sequence[dict[str, Any]] = ()

    def __init__(
        self,
        first: int = 0,
        count: int = 40,
        size: Sequence[int] = (64, 64),
        subject_seed: int = 0,
        motion: dict[str, Any] | None = None,
        fraction: float = 1.0,
        fraction_seed: int = 0,
        cache: str | dict[str, Any] | None = 'memory',
        **kwargs: Any,
    ):
        self.first, self.count, self.size = first, count, tuple(int(n) for n in size)
        self.subject_seed = subject_seed
        options: dict[str, Any] = dict(motion or {})
        if 'contraction' in options:
            options['contraction'] = tuple(options['contraction'])
        self.motion = Motion(**options)
        self.fraction, self.fraction_seed = fraction, fraction_seed
        super().__init__(cache=cache, checks=None, label_sets='any', **kwargs)

    def index(self) -> Index:
        """Relaxed and contracted heart of every subject, listed as pairs."""
        self._metainfo.setdefault('label_names', NAMES)
        numbers = seeded_fraction(range(self.first, self.first + self.count), self.fraction, self.fraction_seed)
        sources = [
            {'id': f'heart{number:04d}_{phase}', 'number': number, 'phase': phase}
            for number in numbers
            for phase in ('ed', 'es')
        ]
        pairs = [IndexPair(2 * k + 1, 2 * k, f'heart{number:04d}') for k, number in enumerate(numbers)]
        return Index(sources, pairs)

    def load_source(self, source: dict[str, Any]) -> dict[str, Any]:
        """One phase of one subject, drawn anew: image, labels and the true field."""
        number, moved = source['number'], source['phase'] == 'es'
        forward, backward = beat(self._rng(number, _ROLE_MOTION), self._anatomy(number), self.size, self.motion)
        image, labels = self._anatomy(number).render(backward if moved else torch.zeros_like(backward))
        noise = self._rng(number, _ROLE_NOISE, int(moved)).standard_normal(self.size) * self.motion.noise
        image = np.clip(image + noise, 0, 1).astype(np.float32)
        subject: dict[str, Any] = {'path': '', 'image': image[None], 'labels': labels[None], 'affine': np.eye(3)}
        if not moved:
            subject['true'] = forward.numpy()
        for transform in self.preprocess:
            subject = transform(subject)
        return subject

    def make_pair(self, fixed: dict[str, Any], moving: dict[str, Any]) -> dict[str, Any]:
        """The pair with ``true_displacement`` of the forward flow."""
        true = fixed['true']
        pair = super().make_pair({key: value for key, value in fixed.items() if key != 'true'}, moving)
        position = identity_grid(self.size).numpy() + true
        last = np.array(self.size).reshape(-1, 1, 1) - 1
        pair[DISPLACEMENT] = true
        pair[DISPLACEMENT_VALID] = ((position >= 0) & (position <= last)).all(0, keepdims=True)
        return pair

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(stable_seed(self.subject_seed, *key))

    def _anatomy(self, number: int) -> Anatomy:
        return Anatomy(self._rng(number, _ROLE_SHAPE), self.size)


class Anatomy:
    """One heart as a function of position.

    Args:
        rng: Draws it.
        size: Voxels per axis.
    """

    def __init__(self, rng: np.random.Generator, size: Sequence[int]):
        scale = min(size)
        self.centre = np.array(size) / 2 + rng.uniform(-0.08, 0.08, 2) * scale
        self.radius = rng.uniform(0.13, 0.2) * scale
        self.wall = rng.uniform(0.05, 0.09) * scale
        self.flatness = rng.uniform(0.85, 1.15)
        self.wave, self.phase = rng.uniform(0, 0.08, 2), rng.uniform(0, 2 * np.pi, 3)
        self.right = self.radius * rng.uniform(0.8, 1.2)
        self.brightness = np.clip(np.array([0.9, 0.4, 0.8, 0.2]) + rng.uniform(-0.08, 0.08, 4), 0, 1)
        noise = rng.standard_normal([n + 32 for n in size])
        texture = ndimage.gaussian_filter(noise, 1.5) * 1.0 + ndimage.gaussian_filter(noise, 4.0) * 3.0
        self.texture = 0.08 * texture / texture.std()

    def distance(self, position: np.ndarray) -> np.ndarray:
        """Distance from the middle ``(H, W)`` of positions ``(2, H, W)``, in the heart's own slightly bent metric."""
        y, x = position[0] - self.centre[0], (position[1] - self.centre[1]) * self.flatness
        angle = np.arctan2(y, x)
        waves = sum(a * np.cos((k + 2) * angle + p) for k, (a, p) in enumerate(zip(self.wave, self.phase)))
        return np.hypot(y, x) / (1 + waves)

    def render(self, displacement: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Image and labels ``(H, W)`` read at ``x + displacement(x)``."""
        position = (identity_grid(displacement.shape[1:]) + displacement).double().numpy()
        inner = self.distance(position)
        side = self.centre + np.array([np.sin(self.phase[2]), np.cos(self.phase[2])]) * (self.radius + self.wall)
        right = np.hypot(position[0] - side[0], position[1] - side[1])
        blood, heart, other = (
            _inside(d, r) for d, r in ((inner, self.radius), (inner, self.radius + self.wall), (right, self.right))
        )
        left, myocardium, second = blood, heart * (1 - blood), other * (1 - heart)
        background = 1 - left - myocardium - second
        shares = np.stack([left, myocardium, second, background])
        texture = ndimage.map_coordinates(self.texture, position + 16, order=3, mode='mirror')
        image = np.tensordot(self.brightness, shares, axes=1) + texture
        labels = np.stack([background, left, myocardium, second]).argmax(0)
        return image, labels.astype(np.int16)


def _inside(distance: np.ndarray, radius: float, blur: float = 0.5) -> np.ndarray:
    """1 inside, 0 outside, smooth over about two voxels."""
    return 1 / (1 + np.exp((distance - radius) / blur))


def beat(rng: np.random.Generator, anatomy: Anatomy, size: Sequence[int], motion: Motion) -> tuple[Tensor, Tensor]:
    """``(forward, backward)``, each ``(2, H, W)`` voxels: flows of one velocity; forward is the true displacement.

    The heart contracts from the fixed to the moving image, so that forward points towards the middle; the pull fades
    beyond the wall.
    """
    double = [2 * n - 1 for n in size]  # integrated on a finer grid: flow and inverse agree to 0.01 voxel
    position = identity_grid(double).double().numpy() / 2
    reach = anatomy.radius + anatomy.wall
    distance = anatomy.distance(position) / reach
    pull = rng.uniform(*motion.contraction) * np.exp(-(distance**4) / 4)
    velocity = torch.from_numpy(-(position - anatomy.centre.reshape(2, 1, 1)) * pull).float()
    wander = torch.stack([smooth_noise(rng, double, [2 * motion.knots] * 2) for _ in double]) * motion.wander
    both = torch.stack([velocity + wander, -velocity - wander]) * 2
    flows = scaling_and_squaring(both, steps=7, padding='border')
    return tuple(resize_field(flows, size=list(size), values='aligned'))
