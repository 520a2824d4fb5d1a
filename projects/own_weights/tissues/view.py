"""Images of a pair as the tissues that a network sees in them, so that two contrasts become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from mmreg.io import Geometry, Volume, resample_to

from .unet import TissueUNet

#: Orientation of the images that the network learned from.
_AXES = 'RAS'


@dataclass(frozen=True)
class TissueView:
    """Shows an image as the brightness of its tissues.

    Attributes:
        network: Names the tissues; classes in the order of ``brightness``.
        brightness: Of every class, in [0, 1].
        spacing: Voxel size in mm that the network is run at; finer grids are averaged, coarser ones interpolated.
        slack: Voxels that differ by no more than this factor from ``spacing`` stay as they are.
    """

    network: TissueUNet
    brightness: Sequence[float]
    spacing: float = 2.0
    slack: float = 1.3

    def shares(self, image: np.ndarray, grid: Geometry) -> Volume:
        """The share of every class, channels last, in the network's orientation and voxels.

        Args:
            image: ``(1, *S)``.
            grid: Where its voxels lie; three axes.
        """
        volume = Volume(np.ascontiguousarray(image[0], dtype=np.float32), grid).reoriented(_AXES)
        steps = np.asarray(volume.geometry.spacing) / self.spacing
        if steps.max() > self.slack or steps.min() < 1 / self.slack:
            sigma = np.maximum(0.0, (1 / steps - 1) / 2)
            smooth = Volume(ndimage.gaussian_filter(volume.array, sigma, mode='nearest'), volume.geometry)
            volume = resample_to(smooth, volume.geometry.resampled(self.spacing), fill=None)
        low, high = float(volume.array.min()), float(np.quantile(volume.array, 0.999))
        scaled = ((volume.array - low) / max(high - low, 1e-6)).clip(0, 1)
        place = next(self.network.parameters())
        with torch.inference_mode(), torch.autocast(place.device.type, dtype=torch.bfloat16):
            logits = self.network.logits(torch.from_numpy(scaled)[None, None].to(place.device))
        found = logits[0].float().softmax(0).cpu().numpy()
        return Volume(np.ascontiguousarray(np.moveaxis(found, 0, -1)), volume.geometry)

    def __call__(self, image: np.ndarray, grid: Geometry) -> tuple[np.ndarray, float]:
        """``(1, *S)`` float32 in [0, 1], and how sure the network is: the mean largest share inside the brain."""
        shares = self.shares(image, grid)
        inside = shares.array[..., 0] < 0.5
        sure = float(shares.array[inside].max(-1).mean()) if inside.any() else 0.0
        bright = Volume(shares.array @ np.asarray(self.brightness, dtype=np.float32), shares.geometry)
        back = bright.reoriented(grid.codes)
        if not back.geometry.same_grid(grid, tol=1e-3):
            back = resample_to(back, grid, fill=None)
        return back.channel_first(), sure
