"""The kernels for a GPU, run by Triton's interpreter and compared with PyTorch in float64. Prints JSON: case -> error.

TRITON_INTERPRET=1 MMREG_COMPILED=triton python -m tests.spatial.triton_cases [seed]
"""

import json
import sys

import torch

from mmreg.models.losses.mind import MIND, MINDSSC
from mmreg.spatial import box_sum, compose, jacobian_determinant, scaling_and_squaring, warp
from mmreg.spatial.compiled import use_compiled
from mmreg.spatial.compiled.gpu.switch import on_gpu
from mmreg.spatial.compiled.self_similarity import serves_descriptors
from mmreg.spatial.local_ncc import LocalCorrelation
from mmreg.spatial.windows import build_window


def error(found, truth):
    """Largest difference over the largest value."""
    return float((found.detach().double() - truth).abs().max() / truth.abs().max().clamp(min=1e-12))


def both(function, *inputs, needs=()):
    """Value and gradients in float32 (the kernels) and float64 (PyTorch)."""
    results = []
    for dtype in (torch.float32, torch.float64):
        own = [x.detach().to(dtype, copy=True).requires_grad_(n in needs) for n, x in enumerate(inputs)]
        out = function(*own)
        grads = torch.autograd.grad((out * torch.linspace(1, 2, out.numel(), dtype=dtype).view(out.shape)).sum(),
                                    [own[n] for n in needs]) if needs else ()  # fmt: skip
        results.append([out.detach(), *grads])
    return max(error(a, b) for a, b in zip(*results))


def cases(seed):
    """Name -> error of every case."""
    make = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=make, dtype=torch.float64)

    found = {}
    for ndim, size in ((2, (9, 7)), (3, (6, 5, 7))):
        image, field = draw(2, 3, *size), 2 * draw(2, ndim, *size)
        one = draw(1, ndim, *size)
        assert on_gpu(image.float(), field.float())
        for padding in ('zeros', 'border'):
            name = f'{ndim}d_{padding}'
            found[f'warp_{name}'] = both(lambda i, f, p=padding: warp(i, f, padding=p), image, field, needs=(0, 1))
            found[f'warp_one_{name}'] = both(lambda i, f, p=padding: warp(i, f, padding=p), image, one, needs=(0, 1))
            found[f'compose_{name}'] = both(
                lambda a, b, p=padding: compose(a, b, p), field, 0.7 * field.flip(2), needs=(0, 1)
            )
            found[f'integrate_{name}'] = both(
                lambda v, p=padding: scaling_and_squaring(v, 3, padding=p), 0.3 * field, needs=(0,)
            )
        half = image.half()
        found[f'warp_half_{ndim}d'] = error(warp(half, field.float()), warp(half.double(), field)) / 8
        for window in (3, 4):
            found[f'box_{window}_{ndim}d'] = both(lambda x, w=window: box_sum(x, w), image, needs=(0,))
        found[f'jacobian_{ndim}d'] = error(jacobian_determinant(field.float()), jacobian_determinant(field))
        found |= correlation(ndim, size, draw) | self_similarity(ndim, size, draw)
    return found


def correlation(ndim, size, draw):
    """The local correlation with and without masks, on images far from zero as well."""
    first, second = draw(2, 2, *size), draw(2, 2, *size)
    second = 0.5 * first + 0.5 * second
    mask = (draw(2, 1, *size) > -0.5).double()
    found = {}
    for form in ('signed', 'squared', 'fourth'):
        for shift in (0.0, 20.0):
            for masked in (None, 'weights', 'counts'):
                if masked == 'counts' and form == 'signed':
                    continue
                ncc = LocalCorrelation(form, 'product', 1e-3, masked=masked == 'counts')
                results = []
                for dtype in (torch.float32, torch.float64):
                    images = [(x + shift).to(dtype) for x in (first, second)]
                    window = build_window(3, 'box', None, ndim)
                    with use_compiled(dtype is torch.float32):
                        results.append(
                            ncc.mean_and_gradients(
                                *images, (True, True), window, None if masked is None else mask.to(dtype)
                            )
                        )
                name = f'lncc_{form}_{ndim}d_{masked}_{shift:g}'
                found[name] = max(error(a, b) for a, b in zip(*results))
    return found


def self_similarity(ndim, size, draw):
    """MIND-SSC and MIND: values and gradients of both images, also where the spread is held at its limits."""
    first, second = draw(2, 1, *size), draw(2, 1, *size)
    flat = first.clone()
    flat[:, :, : size[0] // 2] = 0.5  # ties, and a spread below its limit
    mask = (draw(2, 1, *size) > -0.5).double()
    assert serves_descriptors(12, first.float(), second.float())
    found = {}
    for kind, radius, dilation, penalty, image, masked in (
        (MINDSSC, 2, 2, 'l2', first, False),
        (MINDSSC, 1, 2, 'l1', first, True),
        (MINDSSC, 1, 1, 'l2', flat, True),
        (MIND, 0, 9, 'l2', first, False),
    ):
        loss = kind(radius, dilation, penalty)
        weights = mask if masked else None
        name = f'{kind.__name__.lower()}_{ndim}d_{radius}_{dilation}_{penalty}_{masked}'
        found[name] = both(lambda a, b, f=loss, m=weights: f(a, b, m), image, second, needs=(0, 1))
    return found


if __name__ == '__main__':
    torch.set_num_threads(1)
    print(json.dumps(cases(int(sys.argv[1]) if len(sys.argv) > 1 else 0)))
