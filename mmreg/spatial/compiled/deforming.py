"""The Jacobian determinant by the kernels: one pass over the field, no derivatives in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from .library import call, has, serves


def serves_determinant(displacement: Tensor) -> bool:
    """Whether :func:`determinant` can take a field ``(N, 3, *spatial)``, in which no gradient is wanted."""
    graph = displacement.requires_grad and torch.is_grad_enabled()
    plain = displacement.dim() == 5 and displacement.shape[1] == 3 and min(displacement.shape[2:]) > 1
    return plain and not graph and serves(displacement) and has('mmreg_determinant')


def determinant(displacement: Tensor) -> Tensor:
    """Jacobian determinants ``(N, *spatial)`` of ``x + displacement(x)``, voxels, by central differences."""
    field = displacement.detach().contiguous()
    out = torch.empty((len(field), *field.shape[2:]))
    call('mmreg_determinant', field, out, len(field), list(field.shape[2:]))
    return out
