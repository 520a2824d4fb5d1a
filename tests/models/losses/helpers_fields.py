"""Fields and labels the tests of the field and label losses share."""

from collections.abc import Callable

import torch
from torch import Tensor


def wave(size: tuple[int, ...], amplitude: float = 1.0, batch: int = 1, dtype=torch.float64) -> Tensor:
    """Smooth field (batch, ndim, *size) in voxels whose shape in space does not depend on the sampling."""
    axes = [torch.linspace(0, 1, n, dtype=dtype) for n in size]
    grid = torch.stack(torch.meshgrid(*axes, indexing='ij'))
    parts = []
    for n in range(batch):
        for i, count in enumerate(size):
            phase = sum((1 + (i + a + n) % 2) * 2.2 * grid[a] for a in range(len(size)))
            parts.append(amplitude * (count - 1) * 0.05 * torch.sin(phase + 0.7 * i + n))
    return torch.stack(parts).view(batch, len(size), *size)


def random_field(size: tuple[int, ...], amplitude: float = 1.0, batch: int = 1, seed: int = 0) -> Tensor:
    """Rough random field, float64."""
    generator = torch.Generator().manual_seed(seed)
    return amplitude * torch.randn(batch, len(size), *size, generator=generator, dtype=torch.float64)


def blocks(size: tuple[int, ...], n: int, batch: int = 1, seed: int = 0) -> Tensor:
    """Integer labels (batch, 1, *size) in 0..n-1, random blocks of three voxels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, n, (batch, 1, *[-(-s // 3) for s in size]), generator=generator)
    for axis, s in enumerate(size):
        coarse = coarse.repeat_interleave(3, dim=axis + 2).narrow(axis + 2, 0, s)
    return coarse


def rigid_field(size: tuple[int, ...], angles: tuple[float, ...], shift: tuple[float, ...]) -> Tensor:
    """Displacement (1, ndim, *size) of a rotation about the centre of the grid and a shift, float64."""
    rotation = rotation_matrix(len(size), angles)
    centre = torch.tensor([(n - 1) / 2 for n in size], dtype=torch.float64)
    axes = [torch.arange(n, dtype=torch.float64) for n in size]
    points = torch.stack(torch.meshgrid(*axes, indexing='ij'), -1)
    moved = (points - centre) @ rotation.T + centre + torch.tensor(shift, dtype=torch.float64)
    return (moved - points).movedim(-1, 0)[None]


def rotation_matrix(ndim: int, angles: tuple[float, ...]) -> Tensor:
    """Rotation by one angle (2-D) or three angles (3-D), radians, float64."""
    generator = torch.zeros(ndim, ndim, dtype=torch.float64)
    for angle, (a, b) in zip(angles, [(0, 1), (0, 2), (1, 2)][: 1 if ndim == 2 else 3]):
        generator[a, b], generator[b, a] = -angle, angle
    return torch.linalg.matrix_exp(generator)


def onehot(labels: Tensor, n: int, dtype=torch.float64) -> Tensor:
    """(N, 1, *S) integers to (N, n, *S)."""
    return torch.cat([(labels == k) for k in range(n)], 1).to(dtype)


def gradients_agree(function: Callable[..., Tensor], *inputs: Tensor) -> bool:
    """Analytic against numerical gradient along random directions, float64."""
    return torch.autograd.gradcheck(function, inputs, fast_mode=True)


class SavedBytes:
    """Context that adds up what autograd keeps for the backward pass, each storage once, inputs left out."""

    def __init__(self, *inputs: Tensor) -> None:
        self.known = {x.untyped_storage().data_ptr() for x in inputs}
        self.total = 0

    def __enter__(self) -> 'SavedBytes':
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda x: x)
        self.hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.hooks.__exit__(*error)

    def _pack(self, x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in self.known:
            self.known.add(storage.data_ptr())
            self.total += storage.nbytes()
        return x
