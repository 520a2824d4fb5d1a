"""Pre-activation residual blocks, plain or conditioned on a number."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.models.blocks.layers import ConvBlock, act_layer

LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.2}
#: Width and depth of the network from the number to the latent code of a block.
_LATENT, _DEPTH = 64, 4


class ConditionalNorm(nn.Module):
    """Instance normalisation whose scale and shift follow a latent code: ``(1 + gamma) IN(x) + beta``."""

    def __init__(self, channels: int):
        super().__init__()
        self.style = nn.Linear(_LATENT, 2 * channels)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """``(N, channels, *spatial)`` with a latent code ``(N, 64)``."""
        style = self.style(latent).view(len(x), -1, *[1] * (x.dim() - 2))
        gamma, beta = style.chunk(2, dim=1)
        return (1 + gamma) * F.instance_norm(x) + beta


class ResidualBlock(nn.Module):
    """``e <- a(e + conv a(n2(conv a(n1(e)))))``, ``a`` LeakyReLU 0.2, ``n1, n2`` nothing or :class:`ConditionalNorm`.

    Args:
        conditional: The block owns a network from one number per sample to a latent code, and both norms.
    """

    def __init__(self, ndim: int, channels: int, conditional: bool = False):
        super().__init__()
        self.act = act_layer(LEAKY)
        self.conv1 = ConvBlock(ndim, channels, channels, bias=False)
        self.conv2 = ConvBlock(ndim, channels, channels, bias=False)
        self.mapping: nn.Module | None = None
        if conditional:
            layers: list[nn.Module] = []
            for k in range(_DEPTH):
                layers += [nn.Linear(_LATENT if k else 1, _LATENT), act_layer(LEAKY)]
            self.mapping = nn.Sequential(*layers)
            self.norm1, self.norm2 = ConditionalNorm(channels), ConditionalNorm(channels)

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        """``(N, channels, *spatial)``; ``code`` ``(N, 1)`` where the block is conditional."""
        if self.mapping is None:
            return self.act(x + self.conv2(self.act(self.conv1(self.act(x)))))
        latent = self.mapping(code)
        inner = self.conv1(self.act(self.norm1(x, latent)))
        return self.act(x + self.conv2(self.act(self.norm2(inner, latent))))
