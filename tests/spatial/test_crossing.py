"""Other resolutions, splines on coarse grids, accelerated inversion, views."""

import pytest
import torch
from torch.autograd import gradcheck

from mmreg.errors import InputError
from mmreg.spatial import affine_displacement, compose, identity_grid, invert
from mmreg.spatial.bspline import bspline_refine, cubic_bspline, invertible_bound
from mmreg.spatial.crossing import chain_displacement, coarse_centres, compose_across
from mmreg.spatial.pyramid import block_means, image_pyramid
from mmreg.spatial.view import in_view
from tests.spatial.fields import smooth, translation


def linear_image(size, slopes):
    grid = identity_grid(size, dtype=torch.float64)
    return (grid * torch.tensor(slopes, dtype=torch.float64).view(-1, *[1] * len(size))).sum(0)[None, None]


@pytest.mark.parametrize(('size', 'coarse'), [((8, 12), (4, 6)), ((9, 7), (5, 4)), ((8, 6, 10), (4, 3, 5))])
def test_coarse_centres_of_a_linear_image(size, coarse):
    """Voxel j reads (j + 1/2) 2 - 1/2; behind the edge the last voxel counts."""
    image = linear_image(size, [1.0, 0.1, 0.01][: len(size)])
    found = coarse_centres(image, coarse, [2.0] * len(size))
    first = ((torch.arange(coarse[0]) + 0.5) * 2 - 0.5).clamp(max=size[0] - 1).double()
    line = found[0, 0].reshape(coarse[0], -1)
    torch.testing.assert_close(line[:, 0] - line[0, 0], first - first[0])
    assert coarse_centres(image, size, [1.0] * len(size)) is image


def affine_field(size, scale):
    """The same affine map of the unit box on grids of any size."""
    matrix = torch.eye(len(size) + 1, dtype=torch.float64)
    for axis, n in enumerate(size):
        matrix[axis, axis] += 0.1 * scale
        matrix[axis, -1] = -0.03 * scale * (n - 1)
    return affine_displacement(matrix, size)


@pytest.mark.parametrize(('coarse', 'fine'), [((5, 7), (9, 12)), ((4, 5, 6), (8, 7, 13))])
def test_composition_across_grids_is_that_on_one_grid(coarse, fine):
    """Affine maps are read exactly on any grid."""
    inner = affine_field(fine, -1.0)
    expected = compose(affine_field(fine, 0.5), inner, 'border')
    torch.testing.assert_close(compose_across(affine_field(coarse, 0.5), inner), expected)
    chain = [affine_field(coarse, 0.5), affine_field(fine, -1.0)]
    torch.testing.assert_close(chain_displacement(chain, fine), expected)
    torch.testing.assert_close(chain_displacement(chain[:1], fine), affine_field(fine, 0.5))


def test_composition_across_refuses_what_is_no_field():
    with pytest.raises(InputError, match='outer'):
        compose_across(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 8, 8))


@pytest.mark.parametrize('factor', [1, 2, 3, 4])
def test_refined_spline_is_its_definition(factor):
    control = torch.rand(1, 1, 5, 4, dtype=torch.float64)
    size = (5 * factor - (factor > 1), 4 * factor)
    found = bspline_refine(control, size, (factor, factor))
    for p in ((0, 0), (size[0] - 1, size[1] - 1), (size[0] // 2, 1)):
        total = 0.0
        for i in range(-3, 8):
            for j in range(-3, 7):
                where = [torch.tensor((q + 0.5) / factor - 0.5 - k, dtype=torch.float64) for q, k in zip(p, (i, j))]
                weight = cubic_bspline(where[0]) * cubic_bspline(where[1])
                total += weight * control[0, 0, min(max(i, 0), 4), min(max(j, 0), 3)]
        assert found[0, 0, p[0], p[1]].item() == pytest.approx(float(total))
    constant = bspline_refine(torch.ones(1, 1, 5, 4, dtype=torch.float64), size, (factor, factor))
    torch.testing.assert_close(constant, torch.ones_like(constant))


@pytest.mark.parametrize(
    ('factor', 'volume', 'plane'),
    [(1, 0.36, 0.45), (2, 0.38544695, 0.49232742), (4, 0.39803114, 0.47980320), (8, 0.40072508, 0.48459708)],
)
def test_bounds_of_the_paper(factor, volume, plane):
    assert invertible_bound((factor,) * 3) == pytest.approx((volume,) * 3, abs=1e-7)
    assert invertible_bound((factor,) * 2) == pytest.approx((plane,) * 2, abs=1e-7)


@pytest.mark.parametrize('factors', [(1, 1), (2, 2), (4, 2), (2, 2, 1)])
def test_no_spline_below_its_bound_is_steeper_than_one_voxel(factors):
    """Random signs at the bound: neighbouring displacements differ by less than the distance of the voxels."""
    size = tuple(6 * f for f in factors)
    bound = torch.tensor([b * f for b, f in zip(invertible_bound(factors), factors)], dtype=torch.float64)
    signs = torch.randint(0, 2, (20, len(factors), *[6] * len(factors)), generator=torch.Generator().manual_seed(0))
    field = bspline_refine((2.0 * signs.double() - 1) * bound.view(1, -1, *[1] * len(factors)), size, factors)
    steep = sum(
        torch.nn.functional.pad(field.diff(dim=a + 2).abs(), [0] * 2 * (len(factors) - a - 1) + [0, 1])
        for a in range(len(factors))
    )
    assert 0.3 < steep.max() <= 1.0 + 1e-9


def steepest(size, factor, share=0.99):
    """A spline step with its control points at their bound, up to the sign."""
    coarse = [-(-n // factor) for n in size]
    signs = torch.randint(0, 2, (1, len(size), *coarse), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    return bspline_refine(
        signs.double() * share * factor * invertible_bound((factor,) * len(size))[0], size, (factor,) * len(size)
    )


@pytest.mark.parametrize('size', [(40, 36), (18, 16, 20)])
@pytest.mark.parametrize('factor', [1, 4])
def test_acceleration_needs_fewer_iterations_for_the_same_inverse(size, factor):
    field = steepest(size, factor)
    plain, slow = invert(field, 300, 1e-8, accelerated=False)
    fast, quick = invert(field, 300, 1e-8)
    torch.testing.assert_close(fast, plain, atol=1e-6, rtol=0)
    assert float(quick.max) < 1e-8 and quick.iterations < 0.8 * slow.iterations


def test_acceleration_treats_samples_apart_and_keeps_the_gradient():
    fields = torch.cat([smooth((14, 13), 0.5, 1), steepest((14, 13), 2), torch.zeros(1, 2, 14, 13).double()])
    together, _ = invert(fields, 200, 1e-10)
    for n in range(3):
        torch.testing.assert_close(together[n : n + 1], invert(fields[n : n + 1], 200, 1e-10)[0], atol=1e-8, rtol=0)
    small = (smooth((4, 5), 0.4, 1) + 0.11).requires_grad_()
    assert gradcheck(lambda u: invert(u, 200, 1e-12)[0], (small,), atol=1e-4)


@pytest.mark.parametrize('size', [(6, 5), (6, 5, 4)])
def test_view(size):
    shift = translation(size, [1.0, -2.0, 0.0][: len(size)])
    inside = in_view(shift)
    assert inside.shape == (1, 1, *size)
    expected = torch.zeros(size, dtype=torch.bool)
    expected[:-1, 2:] = True
    assert torch.equal(inside[0, 0], expected)
    assert in_view(torch.full((1, 2, 4, 4), 5e-4)).all() and not in_view(torch.full((1, 2, 4, 4), 2e-3)).all()


def test_block_means_keep_or_drop_the_rest():
    image = torch.arange(5.0).view(1, 1, 5, 1).expand(1, 1, 5, 3)
    assert block_means(image)[0, 0, :, 0].tolist() == [0.5, 2.5, 4.0]
    assert block_means(image, partial=False)[0, 0, :, 0].tolist() == [0.5, 2.5]
    assert block_means(torch.ones(1, 1, 1, 1, 7)).shape[2:] == (1, 1, 4)
    assert [level.shape[2] for level in image_pyramid(image, 3, 'block_partial')] == [5, 3, 2]
