"""The difference of two self-similarity descriptors and its gradients on a GPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmreg.spatial.constants import constant
from mmreg.spatial.folding_back import fold_back

Offset = tuple[int, ...]

BLOCK = 256


def descriptor_difference(
    images: tuple[Tensor, Tensor],
    mask: Tensor | None,
    need: tuple[bool, bool],
    weight: float,
    squared: bool,
    pairs: Sequence[tuple[Offset, Offset]],
    radius: int,
    dilation: int,
    limits: tuple[float, float, float],
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """As :func:`mmreg.spatial.compiled.self_similarity.descriptor_difference`.

    Works in one volume per pair and image, and two more per pair while a gradient is made. Nothing waits for the GPU,
    and every sum is made in one order.
    """
    patches = _Patches.of(images[0], pairs, radius, dilation)
    comparison = _Comparison(patches, images, mask, weight, squared, limits)
    value: Tensor | None = None
    gradients: list[Tensor | None] = [None, None]
    for side in [side for side in (0, 1) if need[side]] or [0]:
        value, by_middle = comparison.value(side)
        if need[side]:
            gradients[side] = patches.gradient(images[side], comparison.by_maps(side, by_middle))
    assert value is not None
    return value, gradients[0], gradients[1]


@dataclass(frozen=True)
class _Patches:
    """What is compared.

    Attributes:
        size: volumes, depth, height, width.
        pairs: ``(K, 2, 3)`` offsets in voxels.
        reach: of the window along each axis, voxels.
        margins: how far pairs reach along each axis, voxels.
    """

    size: tuple[int, int, int, int]
    pairs: Tensor
    reach: tuple[int, int, int]
    margins: tuple[int, int, int]

    @classmethod
    def of(cls, image: Tensor, pairs: Sequence[tuple[Offset, Offset]], radius: int, dilation: int) -> _Patches:
        flat = image.dim() == 4
        offsets = [[[0] * flat + [dilation * step for step in offset] for offset in pair] for pair in pairs]
        depth, height, width = (1, *image.shape[2:]) if flat else image.shape[2:]
        near, far = 0 if flat else radius, 0 if flat else dilation
        size = (len(image), depth, height, width)
        return cls(size, constant(offsets, image, torch.int32), (near, radius, radius), (far, dilation, dilation))

    @property
    def voxels(self) -> int:
        return math.prod(self.size[1:])

    @property
    def grid(self) -> tuple[int, int]:
        """Programs of one volume, and volumes."""
        return -(-self.voxels // BLOCK), self.size[0]

    @property
    def grid_of_maps(self) -> tuple[int, int]:
        return self.grid[0], self.size[0] * len(self.pairs)

    @property
    def scale(self) -> float:
        """One over the voxels of a window."""
        return 1 / math.prod(2 * reach + 1 for reach in self.reach)

    def maps(self, image: Tensor) -> Tensor:
        """Squared differences summed over the windows, ``(volumes, K, voxels)``."""
        from .descriptor_kernels import difference_kernel

        out = torch.empty((self.size[0], len(self.pairs), self.voxels), device=image.device)
        difference_kernel[self.grid_of_maps](
            image.contiguous(), self.pairs, out, len(self.pairs), self.voxels, *self.size[1:], REACH=self.reach[2],
            BLOCK=BLOCK,
        )  # fmt: skip
        return self._across_rows(out, transposed=False)

    def _across_rows(self, maps: Tensor, transposed: bool) -> Tensor:
        """Window sums along the first two axes, or their transpose."""
        from .descriptor_kernels import window_kernel

        _, depth, height, width = self.size
        for stride, length, reach in ((width, height, self.reach[1]), (width * height, depth, self.reach[0])):
            if reach:
                source, maps = maps, torch.empty_like(maps)
                window_kernel[self.grid_of_maps](
                    source, maps, self.voxels, stride, length, REACH=reach, TRANSPOSED=transposed, BLOCK=BLOCK
                )
        return maps

    def gradient(self, image: Tensor, by_maps: Tensor) -> Tensor:
        """By the image, of its shape, from that by the mean squared differences."""
        from .descriptor_kernels import gather_kernel, step_kernel

        sums = self._across_rows(by_maps, transposed=True)
        steps, count = torch.empty_like(sums), len(self.pairs)
        step_kernel[self.grid_of_maps](
            sums, image.contiguous(), self.pairs, steps, count, self.voxels, *self.size[1:],
            2 * self.scale, REACH=self.reach[2], BLOCK=BLOCK,
        )  # fmt: skip
        padded = [n + 2 * margin for n, margin in zip(self.size[1:], self.margins)]
        out, places = torch.empty((self.size[0], 1, *padded), device=image.device), math.prod(padded)
        gather_kernel[(-(-places // BLOCK), self.size[0])](
            steps, self.pairs, out, self.voxels, places, *self.size[1:], self.margins[0], self.margins[2],
            COUNT=count, BLOCK=BLOCK,
        )  # fmt: skip
        return fold_back(out, self.margins).reshape(image.shape)


class _Comparison:
    """Two images, measured: what their descriptors' difference and its derivatives are found from."""

    def __init__(
        self,
        patches: _Patches,
        images: tuple[Tensor, Tensor],
        mask: Tensor | None,
        weight: float,
        squared: bool,
        limits: tuple[float, float, float],
    ):
        self.patches, self.weight, self.squared, self.limits = patches, weight, squared, limits
        self.mask = None if mask is None else mask.expand(images[0].shape).contiguous()
        self.maps = [patches.maps(image) for image in images]
        self.middle = torch.stack([self._spread(maps).mean() for maps in self.maps])

    def _spread(self, maps: Tensor) -> Tensor:
        from .descriptor_kernels import spread_kernel

        patches = self.patches
        out = torch.empty((patches.size[0], patches.voxels), device=maps.device)
        spread_kernel[patches.grid](
            maps, out, patches.voxels, patches.scale, COUNT=len(patches.pairs), BLOCK=BLOCK
        )  # fmt: skip
        return out

    def value(self, side: int) -> tuple[Tensor, Tensor]:
        """The value ``()``, and its derivative by the mean spread of that image, per voxel."""
        programs = math.prod(self.patches.grid)
        value, at_limits = (torch.empty(programs, device=self.middle.device) for _ in range(2))
        self._compare(side, self.middle, value, at_limits, self.middle)
        by_middle = at_limits.double().sum() / (self.patches.size[0] * self.patches.voxels)
        return value.double().sum().float(), by_middle.float()

    def by_maps(self, side: int, by_middle: Tensor) -> Tensor:
        """Derivatives by the maps of that image, ``(volumes, K, voxels)``."""
        out = torch.empty_like(self.maps[side])
        self._compare(side, by_middle, self.middle, self.middle, out)
        return out

    def _compare(self, side: int, by_middle: Tensor, value: Tensor, at_limits: Tensor, out: Tensor) -> None:
        """By the kernel; a tensor that it does not look at is any."""
        from .descriptor_kernels import compare_kernel

        patches = self.patches
        compare_kernel[patches.grid](
            *self.maps, self.middle if self.mask is None else self.mask, self.middle, by_middle, value, at_limits, out,
            patches.voxels, patches.scale, self.weight, *self.limits, COUNT=len(patches.pairs), SQUARED=self.squared,
            MASKED=self.mask is not None, SIDE=side, DERIVE=out is not self.middle, BLOCK=BLOCK,
        )  # fmt: skip
