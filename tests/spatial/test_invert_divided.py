"""Inverses on finer grids: the kernels find what PyTorch finds, and say how far it is off."""

import sys

import pytest
import torch

from mmreg.spatial import compose, invert_divided, resize_field, there_and_back
from mmreg.spatial.compiled import compiled_available, inverting, library, use_compiled

from .test_invert_multilevel import strong_map

MATRIX = torch.tensor([[0.0, 2.0, 0.0], [1.5, 0.0, 0.0], [0.0, 0.0, -3.0]])
needs_kernels = pytest.mark.skipif(not compiled_available(), reason='the kernels were not built: no C compiler')


def whole(field, factors, **settings):
    """The slabs as one, and the most iterations."""
    slabs = list(invert_divided(field, factors, **settings))
    return torch.cat([slab for slab, _ in slabs], dim=2), max(steps for _, steps in slabs)


@pytest.fixture(scope='module')
def field():
    return strong_map((14, 18, 12))[:1]


@needs_kernels
@pytest.mark.parametrize('factors', [(1, 1, 1), (2, 2, 2), (1, 3, 2)])
def test_the_kernels_find_what_pytorch_finds(field, factors):
    with use_compiled(False):
        expected, _ = whole(field, factors)
    found, steps = whole(field, factors)
    assert found.shape == expected.shape and 1 <= steps <= 40
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
    fine = resize_field(field, size=list(found.shape[2:]), values='aligned')
    assert float(compose(fine, found, 'border').norm(dim=1).max()) < 1.1e-3


@needs_kernels
@pytest.mark.parametrize('every', [1, 3])
@pytest.mark.parametrize(('factors', 'kept'), [((2, 2, 2), (1, 1, 1)), ((1, 3, 4), (1, 2, 4)), ((1, 1, 1), (1, 1, 1))])
def test_what_is_left_there_and_back(field, factors, kept, every):
    back = resize_field(-field, size=inverting.divided(field.shape[2:], kept), values='aligned')
    with use_compiled(False):
        expected = there_and_back(field, back, factors, kept, MATRIX, every)
    assert there_and_back(field, back, factors, kept, MATRIX, every) == pytest.approx(expected, rel=1e-4)
    assert expected[1] > expected[0] > 0.05


@needs_kernels
def test_folds_and_what_is_not_finite_end(field):
    """Voxels that no method can solve keep their best guess, and the others do not suffer."""
    rough = 6 * torch.randn(1, 3, 10, 9, 8, generator=torch.Generator().manual_seed(1))
    found, _ = whole(rough, (2, 2, 2), iterations=20)
    assert torch.isfinite(found).all()
    broken = field.clone()
    broken[0, :, 7, 9, 6] = float('nan')
    found, _ = whole(broken, (1, 1, 1))
    unbroken, _ = whole(field, (1, 1, 1))
    assert ((found - unbroken).abs().amax(1) < 5e-3).float().mean() > 0.9


@needs_kernels
def test_slabs_are_parts_of_the_whole(field, monkeypatch):
    at_once = whole(field, (2, 2, 2))[0]
    monkeypatch.setattr(sys.modules['mmreg.spatial.invert_divided'], '_AT_ONCE', 3 * 35 * 23)
    assert len(list(invert_divided(field, (2, 2, 2)))) == 9
    assert torch.equal(whole(field, (2, 2, 2))[0], at_once)


@needs_kernels
def test_single_slices_and_threads(field):
    flat = field[:, :, :1].contiguous()
    flat[:, 0] = 0
    found, _ = whole(flat, (2, 2, 2))
    assert float(there_and_back(flat, found, (2, 2, 2), (2, 2, 2), MATRIX)[1]) < 5e-3
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(whole(field, (2, 2, 2))[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_images_and_doubles_run_in_pytorch(dtype):
    field = strong_map((20, 24))[:1].to(dtype)
    found, _ = whole(field, (2, 1))
    assert found.shape == (1, 2, 39, 24) and found.dtype == dtype
    assert there_and_back(field, found, (2, 1), (2, 1), torch.eye(2))[1] < 5e-3


def test_a_library_without_these_kernels_serves_the_others(field, monkeypatch):
    table = dict(library.signatures()) if compiled_available() else {}
    table.pop('mmreg_invert_slices', None)
    monkeypatch.setattr(library, 'signatures', lambda: table)
    assert not inverting.serves_inverse(field, (1, 1, 1))
    assert whole(field, (1, 1, 1))[0].shape == field.shape
