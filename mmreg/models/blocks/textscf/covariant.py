"""Spatially covariant filters: an inner product of features and a filter that depends on the voxel's region."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from mmreg.spatial.precision import full_precision, without_autocast


def covariant(features: Tensor, filters: Tensor, rows: Tensor) -> Tensor:
    """``out_j(p) = sum_c filters[j, rows(p), c] * features_c(p)``, region by region.

    Equal to gathering a filter for every voxel without ever holding these: besides its arguments (by reference) it
    needs memory for the voxels of one region only, forward and backward. Differentiable once in features and filters.

    Args:
        features: ``(N, C, *spatial)``.
        filters: ``(J, L, C)``.
        rows: ``(N, 1, *spatial)`` integer, 0..L-1: the row of ``filters`` that a voxel uses.

    Returns:
        ``(N, J, *spatial)``, float32 also under autocast (float64 stays float64).

    Source: TextSCF (arXiv 2311.15607), golden textscf/textscf_net ``scf_flow``.
    """
    with without_autocast(features):
        (features,) = full_precision(features)
        return _Covariant.apply(features, filters.to(features.dtype), rows)


def covariant_soft(features: Tensor, filters: Tensor, probabilities: Tensor) -> Tensor:
    """The same with a mixture of filters per voxel, ``w_j(p) = sum_k P_k(p) filters[j, k]``.

    Args:
        features: ``(N, C, *spatial)``.
        filters: ``(J, L, C)``.
        probabilities: ``(N, L, *spatial)``; differentiable, too.

    Returns:
        ``(N, J, *spatial)``; components are computed again in the backward pass, one at a time.
    """
    with without_autocast(features):
        (features,) = full_precision(features)
        filters, probabilities = filters.to(features.dtype), probabilities.to(features.dtype)
        parts = [checkpoint(_mixture, features, bank, probabilities, use_reentrant=False) for bank in filters]
        return torch.stack(parts, dim=1)


def _mixture(features: Tensor, bank: Tensor, probabilities: Tensor) -> Tensor:
    """One component: ``(N, *spatial)``."""
    responses = torch.matmul(bank, features.flatten(2)).view_as(probabilities)
    return (responses * probabilities).sum(1)


def _regions(rows: Tensor, count: int) -> Iterator[tuple[int, Tensor]]:
    """Each region of one sample's flat ``rows``: its row and the positions of its voxels."""
    if rows.is_meta:  # no values: one region of all voxels costs as much
        yield 0, torch.empty_like(rows)
        return
    order = rows.argsort()
    sizes = torch.bincount(rows, minlength=count).tolist()
    start = 0
    for row, size in enumerate(sizes):
        if size:
            yield row, order[start : start + size]
        start += size


class _Covariant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, filters: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(features, filters, rows)
        flat = features.flatten(2)
        out = features.new_empty(flat.shape[0], filters.shape[0], flat.shape[2])
        for sample, values, own in zip(out, flat, rows.flatten(1)):
            for row, where in _regions(own, filters.shape[1]):
                sample.index_copy_(1, where, filters[:, row] @ values.index_select(1, where))
        return out.view(features.shape[0], filters.shape[0], *features.shape[2:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        features, filters, rows = ctx.saved_tensors
        flat, grad = features.flatten(2), grad_output.flatten(2)
        grad_filters = torch.zeros_like(filters)
        grad_features = torch.empty_like(flat) if ctx.needs_input_grad[0] else None
        for n, own in enumerate(rows.flatten(1)):
            for row, where in _regions(own, filters.shape[1]):
                inner = grad[n].index_select(1, where)
                grad_filters[:, row] += inner @ flat[n].index_select(1, where).T
                if grad_features is not None:
                    grad_features[n].index_copy_(1, where, filters[:, row].T @ inner)
        return None if grad_features is None else grad_features.view(features.shape), grad_filters, None
