"""Topology correction reaches the border of the grid, where differences are one-sided."""

import torch

from mmreg.registration.optimisation.folding import folded, unfold


def test_folds_in_the_outer_slices_are_mended():
    field = torch.zeros(1, 3, 12, 12, 9)
    field[0, 0, 5:7, :, 0] = torch.tensor([2.5, -2.5])[:, None]  # neighbours that change places, in the first slice
    field[0, 2, :, 4, -1] = -2.5  # a slice pushed through the one below it, at the other end
    bad = folded(field)
    assert bad[..., 0].any() and bad[..., -1].any()
    mended = unfold(field, 60)
    assert not folded(mended).any()
    assert torch.equal(mended[0, :, :2, :2, 3:6], field[0, :, :2, :2, 3:6]), 'everything else keeps its value'


def test_no_passes_change_nothing():
    field = torch.randn(1, 2, 8, 8)
    assert unfold(field, 0) is field
