"""The implicit function from text embeddings to filters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmreg.spatial.precision import without_autocast


class FilterBank(nn.Module):
    """Three linear layers with ReLU per component: ``dim -> hidden -> 2 hidden -> channels``.

    Args:
        dim: Length of an embedding.
        hidden: Width of the implicit function, the published ``scp_dim``.
        channels: Length of a filter.
        components: How many filters every embedding has: one per spatial axis.
        shared: One trunk for all components; the last layer gives all their filters.

    Source: TextSCF (arXiv 2311.15607), golden textscf/textscf_head ``filters``.
    """

    def __init__(self, dim: int, hidden: int, channels: int, components: int, shared: bool = False):
        super().__init__()
        self.components = components
        count, width = (1, channels * components) if shared else (components, channels)
        self.mlps = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dim, hidden),
                nn.ReLU(),
                nn.Linear(hidden, 2 * hidden),
                nn.ReLU(),
                nn.Linear(2 * hidden, width),
            )
            for _ in range(count)
        )

    def forward(self, embeddings: Tensor) -> Tensor:
        """``(L, dim)`` to ``(components, L, channels)``, float32 also under autocast."""
        with without_autocast(embeddings):
            filters = torch.cat([mlp(embeddings) for mlp in self.mlps], dim=1)
        return filters.unflatten(1, (self.components, -1)).transpose(0, 1)
