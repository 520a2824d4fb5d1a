"""A U-Net for one image: the share of each tissue in every voxel, whatever the contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.errors import ConfigError
from mmreg.models.base import require
from mmreg.models.blocks.decoder import DecoderBlock
from mmreg.models.blocks.stages import conv_units
from mmreg.models.padding import crop, pad, padding_to
from mmreg.registry import LOSSES, MODELS
from mmreg.spatial.precision import without_autocast

_BLOCKS: dict[str, Any] = {'norm_cfg': {'type': 'IN'}, 'act_cfg': {'type': 'LeakyReLU', 'negative_slope': 0.1}}


@MODELS.register_module()
class TissueUNet(BaseModel):
    """Names the tissue of every voxel of one image, learned from painted images of random contrast.

    Most convolutions work at half of the resolution or less: a block of 2 voxels per axis enters as channels of one.
    Per level two convolutions with instance normalisation and LeakyReLU, average pooling by 2, linear upsampling with
    aligned outer edges. One convolution sees the inputs once more at full resolution, beside what the levels found.
    It is trained on pairs of :class:`.dataset.TissueBrains`; both images are examples.

    Args:
        classes: Number of classes; the first is background.
        channels: Widths of the levels, that of half the resolution first.
        descriptor: A registered loss with ``descriptor(image)``, such as ``dict(type='MINDSSC')``: its channels are
            shown beside the image; None: the image alone.
        last: Channels at full resolution.
        brightness: Of every class, in [0, 1]: how an image would look if all had one contrast.
        likeness: Weight of 1 - local squared correlation of that image with the true one, beside the cross entropy.
        ndim: Number of spatial axes.

    Source: the way of training is that of Billot et al., SynthSeg, Medical Image Analysis 2023.
    """

    def __init__(
        self,
        classes: int = 5,
        channels: Sequence[int] = (32, 48, 64),
        last: int = 12,
        brightness: Sequence[float] = (0.0, 0.2, 0.55, 1.0, 0.75),
        likeness: float = 1.0,
        descriptor: dict[str, Any] | None = None,
        ndim: int = 3,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ):
        super().__init__(data_preprocessor or {'type': 'mmreg.RegDataPreprocessor'}, init_cfg)
        require(len(brightness) == classes, self, f'brightness has {len(brightness)} values for {classes} classes.')
        self.classes, self.likeness, self.ndim, self.levels = classes, likeness, ndim, len(channels)
        self.register_buffer('brightness', torch.tensor(list(brightness)).view(1, -1, *[1] * ndim), persistent=False)
        self.local = LOSSES.build(dict(type='LNCC', window=7))
        self.describe = None if descriptor is None else LOSSES.build(dict(descriptor)).descriptor
        inputs = 1 if descriptor is None else 1 + len(LOSSES.build(dict(descriptor)).pairs[ndim])
        below = inputs * 2**ndim
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for width in channels:
            self.encoder.append(nn.Sequential(*conv_units(ndim, below, [width] * 2, **_BLOCKS)))
            below = width
        for width in reversed(channels[:-1]):
            self.decoder.append(DecoderBlock(ndim, below, width, width, (2,) * ndim, 'centres', convs=2, **_BLOCKS))
            below = width
        conv: Any = nn.Conv2d if ndim == 2 else nn.Conv3d
        self.narrow = conv(below, last, 1)
        self.finest = DecoderBlock(ndim, last, inputs, last, (2,) * ndim, 'centres', convs=1, **_BLOCKS)
        self.last = conv(last, classes, 1)

    def logits(self, image: Tensor) -> Tensor:
        """``(N, 1, *spatial)`` in [0, 1] to ``(N, classes, *spatial)``; any size, padded with zeros to what fits."""
        size = tuple(image.shape[2:])
        divisor = (2**self.levels,) * self.ndim
        margins = padding_to(size, divisor, divisor)
        x = pad(image, margins)
        if self.describe is not None:
            with torch.no_grad(), without_autocast(x):
                x = torch.cat([x, self.describe(x.float())], 1)
        inputs = x
        x = blocks_to_channels(x)
        skips = []
        pool = F.avg_pool2d if self.ndim == 2 else F.avg_pool3d
        for level, blocks in enumerate(self.encoder):
            x = blocks(x if level == 0 else pool(x, 2))
            skips.append(x)
        x = skips.pop()
        for block in self.decoder:
            x = block(x, skips.pop())
        return crop(self.last(self.finest(self.narrow(x), inputs)), margins)

    def forward(
        self, inputs: Mapping[str, Any], data_samples: Any = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor]:
        """Run a batch of pairs; fixed and moving images are examples alike.

        Args:
            inputs: ``fixed``, ``moving`` ``(N, 1, *spatial)`` in [0, 1]; ``'loss'`` needs ``fixed_tissues`` and
                ``moving_tissues`` ``(N, classes, *spatial)``, shares that sum to 1.
            data_samples: Not used.
            mode: ``'tensor'``: shares ``(2 N, classes, *spatial)``, fixed images first; ``'loss'``: named scalars.

        Raises:
            ConfigError: another mode.
        """
        logits = self.logits(torch.cat([inputs['fixed'], inputs['moving']]))
        if mode == 'tensor':
            return logits.float().softmax(1)
        if mode != 'loss':
            raise ConfigError(f"mode is {mode!r}, expected 'tensor' or 'loss'.")
        truth = torch.cat([inputs['fixed_tissues'], inputs['moving_tissues']])
        shares = logits.float().log_softmax(1)
        return {
            'loss_entropy': -(truth * shares).sum(1).mean(),
            'loss_likeness': self.likeness * self.local(self.bright(truth), self.bright(shares.exp())),
        }

    def bright(self, shares: Tensor) -> Tensor:
        """``(N, classes, *spatial)`` shares to ``(N, 1, *spatial)``, brightness in the contrast of all."""
        return (shares * self.brightness).sum(1, keepdim=True)


def blocks_to_channels(x: Tensor) -> Tensor:
    """``(N, C, *spatial)`` with even axes to ``(N, C 2^ndim, *spatial / 2)``: every block of voxels is one.

    Example:
        >>> blocks_to_channels(torch.arange(8.0).view(1, 1, 2, 4))[0, :, 0, 1].tolist()
        [2.0, 3.0, 6.0, 7.0]
    """
    size, ndim = x.shape[2:], x.dim() - 2
    split = x.reshape(*x.shape[:2], *[part for n in size for part in (n // 2, 2)])
    inner, outer = range(3, 3 + 2 * ndim, 2), range(2, 2 + 2 * ndim, 2)
    return split.permute(0, 1, *inner, *outer).reshape(len(x), -1, *[n // 2 for n in size])
