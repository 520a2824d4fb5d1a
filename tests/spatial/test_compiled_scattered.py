"""Images at points and joint histograms: the kernels give what PyTorch gives, with gradients."""

import pytest
import torch
from torch.nn import functional as F

from mmreg.registration.affine.similarity import HistogramSimilarity
from mmreg.spatial.compiled import compiled_available, scattered, use_compiled
from mmreg.spatial.histogram import mutual_information, normalised_information

pytestmark = pytest.mark.skipif(not compiled_available(), reason='the kernels were not built: no C compiler')


@pytest.mark.parametrize('size', [(7, 6, 9), (1, 5, 4), (2, 2, 2)])
@pytest.mark.parametrize(('maps', 'channels'), [(1, 1), (3, 2)])
def test_images_at_points(size, maps, channels):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, channels, *size, generator=generator)
    half = torch.tensor([(n - 1) / 2 for n in size]).view(1, 3, 1)
    position = (2 * torch.rand(maps, 3, 3000, generator=generator) - 1) * 1.4 * (half + 0.1)
    weight = torch.randn(maps, channels, 3000, generator=generator)
    found = []
    for own in (True, False):
        at = position.clone().requires_grad_()
        if own:
            values = scattered.at_points(image, at)
        else:
            grid = (at / half.clamp(min=0.5)).flip(1).movedim(1, -1).reshape(1, maps, 3000, 1, 3)
            sampled = F.grid_sample(image, grid, padding_mode='border', align_corners=True)
            values = sampled.view(channels, maps, 3000).transpose(0, 1)
        (gradient,) = torch.autograd.grad((values * weight).sum(), at)
        found.append((values.detach(), gradient))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    many = 1 if 1 not in size else 0  # grid_sample has no slope along a single slice either
    torch.testing.assert_close(found[0][1][:, 1 - many :], found[1][1][:, 1 - many :], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('score', [mutual_information, normalised_information])
def test_histograms(score):
    generator = torch.Generator().manual_seed(1)
    fixed = torch.rand(2, 500, generator=generator)
    values = 1.2 * torch.rand(3, 2, 500, generator=generator) - 0.1
    weights = torch.rand(3, 500, generator=generator)
    similarity = HistogramSimilarity(fixed, 16, score)
    found = []
    for compiled in (True, False):
        with use_compiled(compiled):
            leaves = values.clone().requires_grad_(), weights.clone().requires_grad_()
            result = similarity(*leaves)
            outer = torch.tensor([1.0, -2.0, 0.5])
            found.append((result.detach(), *torch.autograd.grad((result * outer).sum(), leaves)))
            torch.testing.assert_close(similarity(values, weights), result.detach())
    inside = (values > 0) & (values < 1)
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[0][1][inside], found[1][1][inside], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found[0][2], found[1][2], rtol=1e-3, atol=1e-6)


def test_positions_that_are_no_numbers_read_inside():
    image = torch.ones(1, 1, 3, 4, 5)
    position = torch.full((1, 3, 4), float('nan'))
    position[0, :, 1], position[0, :, 2] = float('inf'), -1e30
    assert scattered.at_points(image, position).shape == (1, 1, 4)
