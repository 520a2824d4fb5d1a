"""The U-Net of the spine CT/MR system: encoder, decoder and remaining convolutions, each a stack from a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmreg.errors import ConfigError
from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, require
from mmreg.models.blocks.stages import Upsample, conv_units, per_level, pool_layer, widths
from mmreg.registry import BACKBONES

_LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.2}
_MAX_POOL = {'type': 'max', 'kernel_size': 2}
_CONVS = ('out_channels', 'num_convs', 'strides', 'dilations', 'kernel_size', 'conv_cfg', 'norm_cfg', 'act_cfg')
#: Keys of the three configs.
KEYS = {
    'encoder': (*_CONVS, 'in_channels', 'pool_cfg', 'pyramid_levels'),
    'decoder': (*_CONVS, 'in_channels', 'upsample_cfg', 'skip_channels', 'pyramid_levels'),
    'remaining': _CONVS,
}


@BACKBONES.register_module()
class StagedUNet(Backbone):
    """U-Net on ``[moving, fixed]`` whose three parts are stacks of convolutions with the published config keys.

    Encoder level: pooling (all but the first), then convolutions. Decoder level: enlarged to the next finer encoder
    level, ``[skip, enlarged]``, convolutions. Fewer decoder levels than the encoder has steps end at a coarser grid:
    three after five encoder levels are the published half-resolution network, four the full-resolution one.

    Args:
        encoder: ``out_channels``: per level a number or a list; ``num_convs`` per level; ``strides`` (of the first
            convolution of a level); ``dilations`` (of all others); ``kernel_size``; ``conv_cfg``, ``norm_cfg``,
            ``act_cfg``; ``pool_cfg``: ``dict(type='max'|'avg', kernel_size=2)``, or None with strides of 2.
            All but ``out_channels`` and the ``_cfg`` keys are one number or one per level. ``in_channels``,
            ``skip_channels`` are checked where given, ``pyramid_levels`` (names) has no effect.
        decoder: The same without pooling; ``upsample_cfg``: see :class:`~mmreg.models.blocks.stages.Upsample`.
        remaining: Convolutions at the finest decoder level.
        norm_eval: Keep batch normalisation in evaluation mode during training.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.

    Weights start Kaiming-normal (fan-out, gain of the LeakyReLU), biases at 0. Returns features finest first: after the
    remaining convolutions, then of every coarser decoder level and of the deepest encoder level.

    Raises:
        ConfigError: unknown keys, or levels that do not fit together.

    Source: Jian et al., MICCAI 2022 (spine system); goldens spine_biomech/voxelmorph_*.
    """

    def __init__(
        self,
        encoder: Mapping[str, Any],
        decoder: Mapping[str, Any],
        remaining: Mapping[str, Any] | None = None,
        norm_eval: bool = False,
        image_channels: int = 1,
        ndim: int = 3,
    ):
        super().__init__()
        for name, config in (('encoder', encoder), ('decoder', decoder), ('remaining', remaining or {})):
            unknown = set(config) - set(KEYS[name])
            require(not unknown, self, f'got {name}={sorted(unknown)}, expected some of {", ".join(KEYS[name])}.')
        self._ndim, self.norm_eval = ndim, norm_eval
        skips, strides = self._build_encoder(encoder, 2 * image_channels)
        coarse = self._build_decoder(decoder, skips, strides)
        finest = coarse.pop(0)
        self.remaining = nn.ModuleList()
        self._add_levels(self.remaining, remaining or {'out_channels': []}, finest)
        if len(self.remaining):
            finest = _last_channels(self.remaining[-1])
        levels = [strides[len(skips) - 1 - k] for k in range(len(self.decoder), -1, -1)]
        deepest = strides[-1]
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=(finest, *coarse),
            strides=tuple((stride,) * ndim for stride in levels),
            siamese=False,
            size_divisor=(deepest,) * ndim,
            min_size=(2 * deepest if _normalised(self) else deepest,) * ndim,
            image_channels=image_channels,
        )
        self._initialise()

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Joint features ``(N, channels_l, *spatial_l)``, finest first."""
        x = torch.cat([moving, fixed], dim=1)
        skips: list[Tensor] = []
        for level, stage in enumerate(self.encoder):
            x = self.run(level, stage, x)
            skips.append(x)
        features = [skips.pop()]
        for enlarge, stage in zip(self.upsample, self.decoder):
            skip = skips.pop()
            x = torch.cat([skip, enlarge(features[0], skip.shape[2:])], dim=1)
            features.insert(0, self.run(len(skips), stage, x))
        for stage in self.remaining:
            features[0] = self.run(len(skips), stage, features[0])
        return [*features]

    def train(self, mode: bool = True) -> StagedUNet:
        """Training mode; batch normalisation stays in evaluation mode where ``norm_eval``."""
        super().train(mode)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _build_encoder(self, config: Mapping[str, Any], channels: int) -> tuple[list[int], list[int]]:
        """Builds ``encoder``; channels and strides of its levels."""
        _expect('encoder.in_channels', config.get('in_channels', channels), channels)
        self.encoder = nn.ModuleList()
        pool_cfg = config.get('pool_cfg', _MAX_POOL)
        pools = [None, *[pool_cfg] * (len(config['out_channels']) - 1)]
        self._add_levels(self.encoder, config, channels, pools)
        strides, stride = [], 1
        for pool, step in zip(pools, per_level(config.get('strides', 1), len(pools), 'encoder.strides')):
            stride *= step * (pool.get('kernel_size', 2) if pool else 1)
            strides.append(stride)
        return [_last_channels(stage) for stage in self.encoder], strides

    def _build_decoder(self, config: Mapping[str, Any], skips: list[int], strides: list[int]) -> list[int]:
        """Builds ``upsample`` and ``decoder``; channels of their levels and of the deepest one, finest first."""
        count = len(config['out_channels'])
        require(
            count < len(skips), self, f'got {count} decoder levels for {len(skips)} encoder levels, expected fewer.'
        )
        wanted = skips[-2 : -2 - count : -1]
        _expect('decoder.skip_channels', list(config.get('skip_channels', wanted)), wanted)
        _expect('decoder.in_channels', config.get('in_channels', skips[-1]), skips[-1])
        self.upsample, self.decoder = nn.ModuleList(), nn.ModuleList()
        channels = [skips[-1]]
        for k, skip in enumerate(wanted):
            factor = strides[-1 - k] // strides[-2 - k]
            options = {key: config[key] for key in ('conv_cfg', 'norm_cfg') if key in config}
            options['act_cfg'] = config.get('act_cfg', _LEAKY)
            enlarge = Upsample(self._ndim, channels[0], factor, config.get('upsample_cfg', {}), **options)
            self.upsample.append(enlarge)
            self._add_levels(self.decoder, config, skip + channels[0], which=k)
            channels.insert(0, _last_channels(self.decoder[-1]))
        return channels

    def _add_levels(
        self,
        stack: nn.ModuleList,
        config: Mapping[str, Any],
        channels: int,
        pools: list[dict[str, Any] | None] | None = None,
        which: int | None = None,
    ) -> None:
        """Append the levels of ``config`` (only ``which``, where given) to ``stack``."""
        count = len(config['out_channels'])
        convs = per_level(config.get('num_convs', 1), count, 'num_convs')
        kernels = per_level(config.get('kernel_size', 3), count, 'kernel_size')
        strides = per_level(config.get('strides', 1), count, 'strides')
        dilations = per_level(config.get('dilations', 1), count, 'dilations')
        options = {key: config.get(key) for key in ('conv_cfg', 'norm_cfg')}
        for k in range(count) if which is None else (which,):
            wide = widths(config['out_channels'][k], convs[k])
            units = conv_units(
                self._ndim, channels, wide, kernels[k], strides[k], dilations[k],
                act_cfg=config.get('act_cfg', _LEAKY), **options,
            )  # fmt: skip
            pool = pools[k] if pools else None
            stack.append(nn.Sequential(*([pool_layer(self._ndim, pool)] if pool else []), *units))
            channels = wide[-1]

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, a=0.2, mode='fan_out', nonlinearity='leaky_relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _last_channels(stage: nn.Module) -> int:
    """Output channels of the last convolution of a level."""
    convs = [module for module in stage.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
    return convs[-1].out_channels


def _normalised(module: nn.Module) -> bool:
    """Whether a normalisation inside needs more than one voxel at the coarsest level."""
    return any('Norm' in type(part).__name__ for part in module.modules())


def _expect(name: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise ConfigError(f'StagedUNet: {name} is {found}, expected {expected}.')
