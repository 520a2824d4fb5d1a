"""The kernels in C against the PyTorch code that they stand in for."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn import functional as F

from mmreg.registry import LOSSES
from mmreg.spatial import box_sum, compose, scaling_and_squaring, separable_filter, warp
from mmreg.spatial.compiled import compiled_available, library, use_compiled
from mmreg.spatial.compiled.library import serves

pytestmark = pytest.mark.skipif(not compiled_available(), reason='the kernels were not built: no C compiler')


@pytest.fixture(autouse=True)
def switched_on():
    """Also where the environment has turned them off."""
    with use_compiled(True):
        yield


SHAPES = [(1, 1, 9, 8, 7), (2, 3, 5, 6, 130), (1, 5, 1, 7, 4), (3, 2, 6, 1, 9), (1, 17, 4, 5, 1)]


def smooth_field(batch, size, scale=3.0, seed=0):
    torch.manual_seed(seed)
    coarse = torch.randn(batch, 3, *[max(2, n // 4) for n in size]) * scale
    return F.interpolate(coarse, size=size, mode='trilinear', align_corners=True).contiguous()


def both(function, *tensors):
    """Results and gradients with the kernels, and without them in double precision."""
    runs = []
    for on, dtype in ((True, torch.float32), (False, torch.float64)):
        inputs = [t.detach().to(dtype).requires_grad_() for t in tensors]
        with use_compiled(on):
            out = function(*inputs)
            torch.manual_seed(1)
            weights = torch.randn(out.shape).to(dtype)
            found = torch.autograd.grad((out * weights).sum(), inputs, allow_unused=True)
        runs.append([out.detach(), *[g for g in found if g is not None]])
    return runs


def assert_close(runs, tolerance=2e-5):
    for mine, reference in zip(*runs, strict=True):
        torch.testing.assert_close(mine.double(), reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize('shape', SHAPES)
def test_warp_and_gradients(shape, layout, padding):
    torch.manual_seed(2)
    image = torch.randn(shape).contiguous(memory_format=layout)
    # A shift that no voxel's position has in common with a grid point, where the derivative is one-sided.
    field = smooth_field(shape[0], shape[2:]) + 0.377
    assert_close(both(lambda i, u: warp(i, u, padding=padding), image, field), 2e-4)


def test_gradients_keep_the_layout_of_features():
    image = torch.randn(1, 8, 6, 7, 8).contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    warped = warp(image, smooth_field(1, (6, 7, 8)))
    warped.sum().backward()
    assert warped.is_contiguous(memory_format=torch.channels_last_3d)
    assert image.grad.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize('batches', [(1, 3), (3, 1)])
def test_one_sample_serves_all(batches):
    image, field = torch.randn(batches[0], 2, 6, 5, 7), smooth_field(batches[1], (6, 5, 7)) + 0.377
    assert_close(both(warp, image, field))


@pytest.mark.parametrize('padding', ['zeros', 'border'])
def test_reads_at_the_very_places_of_the_pytorch_code(padding):
    """On grid points the derivative jumps: it has to fall on the same side."""
    torch.manual_seed(3)
    size = (11, 13, 17)
    image, field = torch.randn(1, 2, *size), torch.randint(-3, 4, (1, 3, *size)).float().requires_grad_()
    gradients = []
    for on in (True, False):
        with use_compiled(on):
            out = warp(image, field, padding=padding)
            gradients.append(torch.autograd.grad(out.square().sum(), field)[0])
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('far', [1e9, -1e9, float('inf'), float('-inf')])
def test_far_outside(far, padding):
    image = torch.randn(1, 1, 5, 6, 7)
    field = torch.zeros(1, 3, 5, 6, 7)
    field[0, 1, 2] = far
    runs = both(lambda i: warp(i, field.to(i), padding=padding), image)
    assert_close(runs)


def test_not_a_number_reads_nothing_wild():
    field = torch.full((1, 3, 5, 6, 7), float('nan'))
    assert warp(torch.ones(1, 1, 5, 6, 7), field).eq(0).all()


@pytest.mark.parametrize('padding', ['zeros', 'border'])
def test_compose_and_squaring(padding):
    outer, inner = smooth_field(2, (9, 8, 7)), smooth_field(2, (9, 8, 7), seed=5) + 0.377
    assert_close(both(lambda a, b: compose(a, b, padding), outer, inner))
    runs = both(lambda v: scaling_and_squaring(v, 5, padding), inner)
    assert_close(runs, 1e-4)


@pytest.mark.parametrize('window', [(9, 9, 9), (3, 5, 4), (1, 7, 1), (2, 1, 1), (31, 31, 31)])
@pytest.mark.parametrize('shape', [(2, 1, 9, 13, 70), (1, 2, 5, 90, 65), (1, 1, 40, 3, 7)])
def test_box_sum(shape, window):
    torch.manual_seed(4)
    assert_close(both(lambda x: box_sum(x, window), torch.randn(shape)), 5e-5)


def test_box_sum_and_filter_of_images_and_lines():
    torch.manual_seed(5)
    for shape, window in (((2, 3, 20, 33), (5, 4)), ((1, 2, 50), (7,))):
        x = torch.randn(shape)
        assert_close(both(lambda x, w=window: box_sum(x, w), x))
        taps = [[0.2, 0.5, 0.1] for _ in window]
        assert_close(both(lambda x, t=taps: separable_filter(x, t), x))


@pytest.mark.parametrize('padding', ['zeros', 'border', 'reflect'])
@pytest.mark.parametrize('radii', [(2, 1, 3), (0, 0, 2), (4, 0, 0), (0, 2, 0)])
def test_filter(radii, padding):
    torch.manual_seed(6)
    taps = [torch.rand(2 * r + 1).tolist() for r in radii]
    x = torch.randn(2, 2, 9, 8, 70)
    assert_close(both(lambda x: separable_filter(x, taps, padding), x), 5e-5)
    with torch.no_grad():  # another way where no gradient is asked for
        torch.testing.assert_close(
            separable_filter(x, taps, padding).double(),
            separable_filter(x.double(), taps, padding),
            rtol=5e-5,
            atol=5e-5,
        )


@pytest.mark.parametrize('form', ['squared', 'signed', 'fourth'])
@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('shape', [(2, 2, 10, 12, 70), (2, 1, 30, 41), (1, 1, 40, 3, 7)])
def test_local_correlation(shape, masked, form):
    torch.manual_seed(7)
    warped, fixed = torch.rand(shape), torch.rand(shape)
    mask = (torch.rand(shape[0], 1, *shape[2:]) > 0.3).float() if masked else None
    loss = LOSSES.build(dict(type='LNCC', window=5, form=form))
    for first, second in ((warped, fixed), (warped, None), (None, fixed)):

        def value(*images, first=first, second=second):
            given = iter(images)
            a = next(given) if first is not None else warped.to(images[0])
            b = next(given) if second is not None else fixed.to(images[0])
            return loss(a, b, None if mask is None else mask.to(images[0]))

        runs = both(value, *[image for image in (first, second) if image is not None])
        scale = [max(1e-9, float(r.abs().max())) for r in runs[1]]
        assert_close([[r / s for r, s in zip(run, scale)] for run in runs], 2e-4)


@pytest.mark.parametrize('masked', [False, True])
def test_local_correlation_of_voxels_inside_a_mask(masked):
    torch.manual_seed(8)
    shape = (2, 2, 10, 12, 14)
    images = torch.rand(shape), torch.rand(shape)
    mask = (torch.rand(2, 1, 10, 12, 14) > 0.4).float() if masked else None
    closed = LOSSES.build(dict(type='LNCC', window=5, masked_statistics=True))
    graph = LOSSES.build(dict(type='LNCC', window=5, masked_statistics=True, closed_form=False))

    def value(loss):
        return lambda *x: loss(*x, None if mask is None else mask.to(x[0]))

    runs = both(value(closed), *images) + [both(value(graph), *images)[1]]
    scale = [max(1e-9, float(r.abs().max())) for r in runs[2]]
    scaled = [[r.double() / s for r, s in zip(run, scale)] for run in runs]
    assert_close(scaled[:2], 2e-4)
    assert_close([scaled[0], scaled[2]], 2e-4)


def test_local_correlation_with_an_empty_mask():
    warped = torch.rand(1, 1, 8, 8, 8).requires_grad_()
    loss = LOSSES.build(dict(type='LNCC', window=3))
    value = loss(warped, torch.rand(1, 1, 8, 8, 8), torch.zeros(1, 1, 8, 8, 8))
    value.backward()
    assert value.isfinite() and warped.grad.eq(0).all()


def test_same_bits_for_any_number_of_threads():
    image, field = torch.randn(1, 3, 30, 31, 32), smooth_field(1, (30, 31, 32))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            i, u = image.clone().requires_grad_(), field.clone().requires_grad_()
            out = scaling_and_squaring(u, 3) + warp(i, u) + box_sum(i, 5)
            results.append([out.detach(), *torch.autograd.grad(out.square().sum(), (i, u))])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_called_from_several_threads_at_once():
    image, field = torch.randn(1, 2, 16, 17, 18), smooth_field(1, (16, 17, 18))
    expected = warp(image, field)
    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(expected, found) for found in pool.map(lambda _: warp(image, field), range(32)))


def test_what_the_kernels_leave_to_pytorch(monkeypatch):
    assert serves(torch.ones(1, 1, 2, 2, 2))
    assert not serves(torch.ones(1, 1, 2, 2, 2, dtype=torch.float64))
    assert not serves(torch.ones(1, 1, 2, 2, 2, device='meta'))
    assert not serves(torch.ones(1, 1, 0, 2, 2))
    with use_compiled(False):
        assert not serves(torch.ones(1, 1, 2, 2, 2))
    assert serves(torch.ones(1, 1, 2, 2, 2))
    # A graph that is being recorded has to see PyTorch's operators.
    for recorder, name in ((torch.jit, 'is_tracing'), (torch.compiler, 'is_compiling')):
        with monkeypatch.context() as patch:
            patch.setattr(recorder, name, lambda: True)
            assert not serves(torch.ones(1, 1, 2, 2, 2))


def test_a_library_of_other_sources_is_not_used(monkeypatch):
    library._library.cache_clear()
    monkeypatch.setattr(library, 'KERNELS', library.KERNELS + 1)
    try:
        assert not compiled_available()
        assert torch.equal(warp(torch.ones(1, 1, 3, 3, 3), torch.zeros(1, 3, 3, 3, 3)), torch.ones(1, 1, 3, 3, 3))
    finally:
        library._library.cache_clear()


def test_switched_off_by_the_environment():
    code = 'import torch; from mmreg.spatial.compiled.library import serves; print(serves(torch.ones(1, 1, 2, 2, 2)))'
    for value, expected in (('0', 'False'), ('1', 'True')):
        done = subprocess.run(
            [sys.executable, '-c', code], env={**os.environ, 'MMREG_COMPILED': value}, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected, done.stderr
