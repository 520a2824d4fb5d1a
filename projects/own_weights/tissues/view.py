"""Images of any contrast shown in one: a network says what every brightness of an image stands for.

The network's answer for a single voxel is coarse and often wrong; what it says on average of all voxels of one
brightness is not. So every image gets one curve from its brightness to that of the tissues, and keeps its own borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from mmreg.io import Geometry, Volume, resample_to
from mmreg.registration.working.curves import fit_curve

from .unet import TissueUNet

#: Orientation of the images that the network learned from.
_AXES = 'RAS'
#: Brightness, of 0 to 1, up to which a voxel is air.
_AIR = 0.02
#: An image with less brain than this, cm^3, is not believed to show one.
_LEAST_BRAIN = 60.0


@dataclass(frozen=True)
class Shown:
    """An image in the common contrast.

    Attributes:
        array: ``(1, *S)`` float32, about 0 to 1.
        explained: Share of the variance of what the network says inside the brain that the curve explains; 0 where the
            network sees no brain.
        brain: Volume of the brain that the network sees, cm^3.
    """

    array: np.ndarray
    explained: float
    brain: float


@dataclass(frozen=True)
class CommonContrast:
    """Shows images of brains as if all had one contrast: that of ``network.brightness``.

    Attributes:
        network: Names the tissues.
        spacing: Voxel size in mm that it is run at; finer grids are averaged, coarser ones interpolated.
    """

    network: TissueUNet
    spacing: float = 3.0

    def __call__(self, image: np.ndarray, grid: Geometry, seen: np.ndarray | None = None) -> Shown:
        """An image ``(1, *S)`` in [0, 1] on ``grid`` of three axes; ``seen`` ``(1, *S)``: where it shows something."""
        bright, inside = self.tissues(image, grid, seen)
        counted = (inside[0] > 0.5) & (image[0] > _AIR)
        if seen is not None:
            counted &= seen[0] > 0
        brain = float(counted.sum()) * abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000
        if brain < _LEAST_BRAIN:
            return Shown(image, 0.0, brain)
        curve = fit_curve(image[0][counted], bright[0][counted])
        return Shown(curve(image), curve.explained, brain)

    def tissues(self, image: np.ndarray, grid: Geometry, seen: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """What the network says: brightness of the tissues and share that is brain, ``(1, *S)`` float32 each."""
        array = image[0] if seen is None else image[0] * (seen[0] > 0)
        volume = Volume(np.ascontiguousarray(array, dtype=np.float32), grid).reoriented(_AXES)
        steps = np.asarray(volume.geometry.spacing) / self.spacing
        sigma = np.maximum(0.0, (1 / steps - 1) / 2)
        smooth = Volume(ndimage.gaussian_filter(volume.array, sigma, mode='nearest', truncate=3), volume.geometry)
        coarse = resample_to(smooth, volume.geometry.resampled(self.spacing), fill=None)
        low, high = float(coarse.array.min()), float(np.quantile(coarse.array, 0.999))
        scaled = ((coarse.array - low) / max(high - low, 1e-6)).clip(0, 1)
        with torch.inference_mode():
            place = next(self.network.parameters()).device
            shares = self.network.logits(torch.from_numpy(scaled)[None, None].to(place)).float().softmax(1)
            told = torch.cat([self.network.bright(shares), 1 - shares[:, :1]], 1)[0].cpu().numpy()
        back = resample_to(Volume(np.ascontiguousarray(np.moveaxis(told, 0, -1)), coarse.geometry), grid, fill=None)
        channels = back.channel_first()
        return channels[:1], channels[1:]
