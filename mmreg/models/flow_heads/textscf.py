"""TextSCF: a flow whose filters follow anatomy, prompted by text (arXiv 2311.15607)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmreg.errors import ConfigError
from mmreg.models.base import FeatureSpec, Fields, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.textscf.covariant import covariant, covariant_soft
from mmreg.models.blocks.textscf.filter_bank import FilterBank
from mmreg.models.blocks.textscf.prompt_map import (
    SOURCES,
    drop_regions,
    fractions,
    lookup_table,
    need_prompt,
    on_features,
    pooled,
    rows_of,
)
from mmreg.models.blocks.textscf.text_rows import TextRows
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import warp_labels
from mmreg.text import LabelSet, TextTable, TextUnavailable, get_label_set
from mmreg.text.embedding import TextEmbedding, embed, embed_at_hand

from .conv_flow import ConvFlowHead

DEFAULT_EMBEDDING = ({'type': 'HashTextEmbedding', 'dim': 768},)


@FLOW_HEADS.register_module()
class TextSCFHead(ConvFlowHead):
    """A convolution plus spatially covariant filters on the finest features of any backbone.

    ``flow_j(p) = sum_c w_j,s(p)[c] f_c(p) + (conv f)_j(p)``: the label ``s(p)`` of the *fixed* image chooses the filter
    that an implicit function makes from the text embedding of the label's name. The flow is then resampled, integrated
    and enlarged as in :class:`ConvFlowHead` (``int_downsize=1`` with the identity integrator: the published
    ``diff_int=0``; ``int_downsize=2`` with scaling and squaring: ``diff_int=1``).

    Args:
        features: What the backbone returns.
        label_set: Name in LABEL_SETS, a JSON or YAML file, or a dict of number -> name.
        text_embedding: A config in TEXT_EMBEDDINGS, or a list of them of which the first that works is taken.
        text_dim: Length of an embedding, where no provider works and the rows come from a checkpoint.
        hidden_dim: Width of the implicit function, the published ``scp_dim``.
        shared_trunk: One implicit function for all components instead of one each.
        prompt: Where the label map comes from: ``'fixed_prompt'`` of the inputs, such as a predicted segmentation, hard
            ``(N, 1, *spatial)`` or probabilities ``(N, L, *spatial)``; ``'fixed_labels'``: what the evaluation uses (an
            oracle); ``'propagate'``: two passes, the first without regions, the second with the warped moving labels;
            ``'background'``: no regions.
        soft: Mix the filters of the labels inside a feature voxel instead of taking that of its first voxel.
        residual_conv: Whether the convolution is there.
        units: What filters and convolution count: voxels of the ``'image'`` (as published) or of the ``'features'``.
        label_dropout, region_dropout: Training: probability that a sample's whole map, or one region, becomes 0.
        folded: The filters are a constant table, for weights from :meth:`fold`.
        kwargs: See :class:`ConvFlowHead`; ``resampling`` is ``'centres'`` as published.

    Raises:
        ConfigError: an option that does not exist, no provider that works (without ``text_dim``), or embeddings of
            another length than ``text_dim``.

    Source: golden textscf/*.
    """

    voxel: Tensor
    lookup: Tensor
    bank: Tensor | None

    def __init__(
        self,
        features: FeatureSpec,
        label_set: str | Mapping[str, Any] = 'oasis35',
        text_embedding: Mapping[str, Any] | Sequence[Mapping[str, Any]] = DEFAULT_EMBEDDING,
        text_dim: int | None = None,
        hidden_dim: int = 2048,
        shared_trunk: bool = False,
        prompt: str = 'fixed_prompt',
        soft: bool = False,
        residual_conv: bool = True,
        units: str = 'image',
        label_dropout: float = 0.0,
        region_dropout: float = 0.0,
        folded: bool = False,
        resampling: str = 'centres',
        **kwargs: Any,
    ):
        super().__init__(features, resampling=resampling, **kwargs)
        require(prompt in SOURCES, self, f'got prompt={prompt!r}, expected one of {SOURCES}.')
        require(units in ('image', 'features'), self, f"got units={units!r}, expected 'image' or 'features'.")
        self.prompt, self.soft = prompt, soft
        self.label_dropout, self.region_dropout = label_dropout, region_dropout
        self.label_set = get_label_set(label_set)
        strides = features.strides[0] if units == 'image' else (1,) * features.ndim
        self.register_buffer('voxel', torch.tensor([float(s) for s in strides]), persistent=False)
        self.register_buffer('lookup', lookup_table(self.label_set.values), persistent=False)
        if not residual_conv:
            self.flow = None  # type: ignore[assignment]
        channels = features.channels[0] * (2 if features.siamese else 1)
        self.text: TextRows | None = None
        self.filters: FilterBank | None = None
        self.register_buffer(
            'bank', torch.zeros(features.ndim, len(self.label_set.names), channels) if folded else None
        )
        if not folded:
            self.text = self._text_rows(text_embedding, text_dim)
            dim = self.text.embedding.shape[1]
            self.filters = FilterBank(dim, hidden_dim, channels, features.ndim, shared_trunk)

    def _text_rows(self, providers: Any, dim: int | None) -> TextRows:
        names = self.label_set.names
        make = partial(_table, self.label_set, providers, dim)
        try:
            found = embed_at_hand(self.label_set, providers)
        except TextUnavailable as error:
            if dim is None:
                raise
            return TextRows(None, names, dim, str(error))
        if isinstance(found, TextEmbedding) and dim is not None:
            return TextRows(None, names, dim, waiting=found, make=make)
        return TextRows(make(), names, dim)

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """One velocity and one displacement; see :class:`ConvFlowHead`.

        ``guidance`` holds what ``prompt`` asks for.

        Raises:
            DataError: there is no label map, or it holds labels that are not in the set.
        """
        finest = features[0]
        finest = finest if isinstance(finest, Tensor) else torch.cat(finest, dim=1)
        size = finest.shape[2:]
        if self.prompt != 'propagate':
            return self.fields(self.estimate(finest, self._regions(guidance, size)), integrator)
        moving = need_prompt(guidance, 'moving_prompt' if 'moving_prompt' in guidance else 'moving_labels')
        with torch.no_grad():
            first = self.fields(self.estimate(finest, self._nowhere(finest)), integrator).displacement
        warped = rows_of(warp_labels(moving, first), self.lookup, self.label_set.name)
        return self.fields(self.estimate(finest, self._placed(warped, size)), integrator)

    def estimate(self, features: Tensor, regions: Tensor) -> Tensor:
        """Flow ``(N, ndim, *spatial)`` in voxels of the features' grid.

        Args:
            features: ``(N, C, *spatial)``.
            regions: Rows of the labels, ``(N, 1, *spatial)`` integer, or their shares, ``(N, L, *spatial)``.
        """
        evaluate = covariant_soft if regions.is_floating_point() else covariant
        flow = evaluate(features, self.filter_table(), regions)
        if self.flow is not None:
            flow = flow + self.flow(features)
        return flow / self.voxel.to(flow).view(1, -1, *[1] * (features.dim() - 2))

    def filter_table(self) -> Tensor:
        """The filters ``(ndim, L, C)``: row k belongs to the k-th label of the set."""
        if self.bank is not None:
            return self.bank
        assert self.text is not None and self.filters is not None
        return self.filters(self.text())

    @torch.no_grad()
    def fold(self) -> None:
        """Replace embeddings and implicit function by the table of filters, in place; outputs stay the same."""
        if self.bank is None:
            self.bank = self.filter_table().detach().clone()
            self.text = self.filters = None

    def is_oracle(self, inputs: Mapping[str, Any]) -> bool | None:
        """Whether the map that the network sees is the one that the evaluation uses; None without one."""
        if self.prompt == 'fixed_labels':
            return True
        given, truth = inputs.get('fixed_prompt'), inputs.get('fixed_labels')
        if self.prompt != 'fixed_prompt' or given is None or truth is None:
            return False if self.prompt != 'fixed_prompt' else None
        return given.shape == truth.shape and bool((given == truth).all())

    def _regions(self, guidance: Guidance, size: Sequence[int]) -> Tensor:
        if self.prompt == 'background':
            return self._nowhere(guidance['fixed'], size)
        prompt = need_prompt(guidance, str(self.prompt))
        count = len(self.label_set.names)
        if prompt.is_floating_point() and prompt.shape[1] == count:
            return pooled(prompt, size)
        return self._placed(rows_of(prompt, self.lookup, self.label_set.name), size)

    def _placed(self, rows: Tensor, size: Sequence[int]) -> Tensor:
        if self.training:
            rows = drop_regions(rows, self.label_dropout, self.region_dropout)
        return fractions(rows, len(self.label_set.names), size) if self.soft else on_features(rows, size)

    @staticmethod
    def _nowhere(like: Tensor, size: Sequence[int] | None = None) -> Tensor:
        return torch.zeros(like.shape[0], 1, *(size or like.shape[2:]), dtype=torch.int64, device=like.device)


def _table(label_set: LabelSet, providers: Any, dim: int | None) -> TextTable:
    """The rows of the first provider that works, and in the log which one it is."""
    table = embed(label_set, providers)
    if dim is not None and table.dim != dim:
        raise ConfigError(
            f'text_embedding: {table.meta.get("encoder")!r} gives {table.dim} numbers, expected text_dim={dim}.'
        )
    chosen = f'text embeddings: {table.meta.get("provider")}, encoder {table.meta.get("encoder")}'
    print_log(chosen, logger='current')
    if table.meta.get('tried') and str(table.meta.get('encoder')).startswith('hash'):
        reasons = '; '.join(table.meta['tried'])
        print_log(f'{chosen}: it knows no meanings, because {reasons}', logger='current', level=logging.WARNING)
    return table


def fold_text_head(model: nn.Module) -> nn.Module:
    """Fold every text-driven head in ``model`` (:meth:`TextSCFHead.fold`); build it with ``folded=True`` to load that.

    Raises:
        ConfigError: there is none.
    """
    heads = [module for module in model.modules() if isinstance(module, TextSCFHead)]
    if not heads:
        raise ConfigError(f'{type(model).__name__} has no text-driven head, expected one to fold.')
    for head in heads:
        head.fold()
    return model
