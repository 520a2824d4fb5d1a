"""Random calls of the operations that have kernels, as they are and without kernels; seeded, a case by its number.

``python -m tests.trust.kernel_cases SEED FIRST LAST`` runs them in a process of its own: a line of JSON before and
after each case, so that whoever reads them knows the case in which the process died.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmreg.models.flow_heads import FreeField
from mmreg.registration.affine.similarity import HistogramSimilarity
from mmreg.registration.optimisation.rules import RULES
from mmreg.registration.optimisation.settings import Settings
from mmreg.registry import LOSSES
from mmreg.spatial import (
    box_sum,
    compose,
    invert_divided,
    jacobian_determinant,
    separable_filter,
    there_and_back,
    warp,
)
from mmreg.spatial.compiled import use_compiled
from mmreg.spatial.compiled.scattered import at_points, serves_points
from mmreg.spatial.histogram import mutual_information
from mmreg.spatial.warp import keeping_slopes

#: Lengths of an axis: around the sizes of vectors, strips and tiles.
AXES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 63, 64, 65, 97, 129)
MOST_VOXELS = 5000
#: What may stand in a tensor; the kinds after the first three are rare in data and common in accidents.
KINDS = ('noise', 'noise', 'whole', 'constant', 'zero', 'shifted', 'huge', 'tiny', 'nan', 'infinite')
LAYOUTS = ('plain', 'channels last', 'transposed', 'every second', 'one for all', 'not at the start')


@dataclass
class Case:
    """One call: ``function(*tensors)``, in words what is in it, and whether gradients are asked for."""

    function: Callable[..., Tensor]
    tensors: list[Tensor]
    words: dict = field(default_factory=dict)
    gradients: bool = True


class Maker:
    """Draws the parts of case ``number``."""

    def __init__(self, seed: int, number: int):
        self.draw = random.Random(f'{seed} {number}')
        self.noise = torch.Generator().manual_seed(self.draw.randrange(2**31))
        self.words: dict = {}

    def size(self) -> list[int]:
        while True:
            size = [self.draw.choice(AXES) for _ in range(3)]
            if math.prod(size) <= MOST_VOXELS:
                return size

    def tensor(self, name: str, shape: list[int], scale: float = 1.0) -> Tensor:
        kind, layout = self.draw.choice(KINDS), self.draw.choice(LAYOUTS)
        self.words[name] = [kind, layout, *shape]
        x = torch.randn(shape, generator=self.noise) * scale
        if kind in ('nan', 'infinite'):
            spots = torch.randint(0, x.numel(), (1 + x.numel() // 40,), generator=self.noise)
            x.view(-1)[spots] = math.nan if kind == 'nan' else self.draw.choice([math.inf, -math.inf])
        changes: dict[str, Callable[[Tensor], Tensor]] = {
            'whole': torch.round,
            'constant': lambda x: torch.full_like(x, self.draw.uniform(-9, 9)),
            'zero': torch.zeros_like,
            'shifted': lambda x: x + 1000,
            'huge': lambda x: x * 1e30,
            'tiny': lambda x: x * 1e-40,
        }
        return laid_out(changes.get(kind, lambda x: x)(x), layout)

    def mask(self, shape: list[int]) -> Tensor | None:
        share = self.draw.choice([None, None, 0.3, 0.6, 1.0])
        self.words['mask'] = share
        return None if share is None else (torch.rand(shape, generator=self.noise) > share).float()


def laid_out(x: Tensor, layout: str) -> Tensor:
    """The same values (of the first sample, with 'one for all') in another place of memory."""
    if layout == 'channels last':
        return x.contiguous(memory_format=torch.channels_last_3d)
    if layout == 'transposed':
        return x.transpose(-1, -2).contiguous().transpose(-1, -2)
    if layout == 'every second':
        return torch.stack([x, x], dim=-1).flatten(-2)[..., ::2]
    if layout == 'one for all':
        return x[:1].expand(x.shape)
    if layout == 'not at the start':
        return torch.cat([x.new_zeros(3), x.reshape(-1)])[3:].view(x.shape)
    return x


def case(seed: int, number: int) -> Case:
    """Case ``number`` of ``seed``."""
    make = Maker(seed, number)
    kinds = (
        warped,
        warped,
        composed,
        summed,
        filtered,
        correlated,
        self_similar,
        stepped,
        inverted,
        searched,
        deformed,
    )
    made = kinds[number % len(kinds)](make)
    made.words = {'operation': kinds[number % len(kinds)].__name__, **make.words, **made.words}
    return made


def warped(make: Maker) -> Case:
    samples, channels, size = make.draw.choice([1, 2, 3]), make.draw.choice([1, 2, 3, 8, 9]), make.size()
    padding = make.draw.choice(['zeros', 'border'])
    image = make.tensor('image', [samples, channels, *size])
    moved = make.tensor('field', [make.draw.choice([1, samples]), 3, *size], make.draw.choice([0.1, 1.0, 5.0, 60.0]))
    if channels > 1 or make.draw.random() < 0.3:
        return Case(lambda i, u: warp(i, u, padding=padding), [image, moved], {'padding': padding})

    def by_slopes(image: Tensor, field: Tensor) -> Tensor:
        with keeping_slopes():
            return warp(image.detach(), field, padding=padding) + 0 * torch.nan_to_num(image).sum().clamp(-1, 1)

    return Case(by_slopes, [image, moved], {'padding': padding, 'slopes': True})


def composed(make: Maker) -> Case:
    shape = [make.draw.choice([1, 2]), 3, *make.size()]
    outer = make.tensor('outer', shape, make.draw.choice([0.1, 2.0, 50.0]))
    if make.draw.random() < 0.4:
        return Case(lambda u: compose(u, u), [outer], {'squared': True})
    return Case(compose, [outer, make.tensor('inner', shape, make.draw.choice([0.1, 2.0, 50.0]))])


def summed(make: Maker) -> Case:
    window = [make.draw.choice([1, 2, 3, 4, 7, 9, 16, 33, 200, 10**9]) for _ in range(3)]
    x = make.tensor('x', [make.draw.choice([1, 3]), make.draw.choice([1, 2]), *make.size()])
    return Case(lambda x: box_sum(x, window), [x], {'window': window})


def filtered(make: Maker) -> Case:
    taps = [[make.draw.uniform(-1, 1) for _ in range(make.draw.choice([1, 3, 5, 11, 63]))] for _ in range(3)]
    padding = make.draw.choice(['zeros', 'border'])
    x = make.tensor('x', [2, make.draw.choice([1, 2]), *make.size()])
    return Case(lambda x: separable_filter(x, taps, padding), [x], {'taps': [len(t) for t in taps], 'padding': padding})


def correlated(make: Maker) -> Case:
    shape = [make.draw.choice([1, 2]), make.draw.choice([1, 3]), *make.size()]
    options = {'window': make.draw.choice([1, 3, 5, 9, 21, 10**6 + 1]), 'form': make.draw.choice(['signed', 'squared'])}
    mask = make.mask([make.draw.choice([1, shape[0]]), 1, *shape[2:]])
    loss = LOSSES.build({'type': 'LNCC', **options})
    return _loss(make, loss, shape, mask, options)


def self_similar(make: Maker) -> Case:
    shape = [make.draw.choice([1, 2]), 1, *make.size()]
    options = {
        'type': make.draw.choice(['MIND', 'MINDSSC']),
        'radius': make.draw.choice([0, 1, 2, 3, 6, 40]),
        'dilation': make.draw.choice([1, 2, 3, 9, 40]),
        'penalty': make.draw.choice(['l1', 'l2']),
    }
    mask = make.mask([shape[0], 1, *shape[2:]])
    return _loss(make, LOSSES.build(dict(options)), shape, mask, options)


def stepped(make: Maker) -> Case:
    """Two iterations of the optimiser of one pair, without its loss."""
    shape = [make.draw.choice([1, 2]), 3, *make.size()]
    options = {'rule': make.draw.choice(['component', 'length']), 'floor': make.draw.choice([0.0, 1e-3, 1.0])}
    settings = Settings.parse({'levels': [{'spacing': 1, 'iterations': 2}], **options})
    mobility = [make.draw.choice([1.0, 0.5]) for _ in range(3)]

    def steps(field: Tensor, *gradients: Tensor) -> Tensor:
        head, rule = FreeField([]), RULES[settings.rule](settings, None, mobility, 0.5)
        head.reset(field.detach().contiguous())
        return torch.cat([rule(head.increment_gradient(gradient.detach())).clone() for gradient in gradients])

    return Case(steps, [make.tensor(name, shape) for name in ('field', 'first', 'second')], options, gradients=False)


def inverted(make: Maker) -> Case:
    """Only calm fields have an inverse to be compared."""
    size, scale = make.size(), make.draw.choice([0.05, 1.0, 60.0])
    factors = [make.draw.choice([1, 2, 3]) for _ in range(3)]
    moved = make.tensor('field', [1, 3, *size], scale)
    calm = scale < 1 and make.words['field'][0] in ('noise', 'whole', 'constant', 'zero')

    def inverse(field: Tensor) -> Tensor:
        out = torch.cat([slab for slab, _ in invert_divided(field, factors, tolerance=1e-5)], dim=2)
        left = there_and_back(field.detach(), out, factors, factors, torch.eye(3), every=2)
        assert not calm or left[1] < 1e-4
        return out if calm else torch.zeros(1)

    return Case(inverse, [moved], {'factors': factors}, gradients=False)


def deformed(make: Maker) -> Case:
    """The determinant of a field with two voxels and more along each axis; products of huge numbers overflow alike."""
    size = [max(2, n) for n in make.size()]
    moved = make.tensor('field', [make.draw.choice([1, 2]), 3, *size], make.draw.choice([0.1, 3.0, 60.0]))
    return Case(lambda u: jacobian_determinant(u.detach()), [moved], gradients=False)


def searched(make: Maker) -> Case:
    """What the affine search asks for; numbers are compared where they are those of images in [0, 1]."""
    channels, maps, count = make.draw.choice([1, 2]), make.draw.choice([1, 3]), make.draw.choice([1, 7, 500, 2049])
    bins = make.draw.choice([8, 9, 32])
    image = make.tensor('image', [1, channels, *make.size()])
    position = make.tensor('position', [maps, 3, count, 1, 1], make.draw.choice([1.0, 20.0])).flatten(2)
    fixed, weights = (
        make.tensor(name, [n, count, 1, 1, 1]).flatten(1) for name, n in (('fixed', channels), ('w', maps))
    )
    calm = all(make.words[name][0] in ('noise', 'whole', 'zero') for name in ('image', 'position', 'fixed', 'w'))

    def score(image: Tensor, position: Tensor, fixed: Tensor, weights: Tensor) -> Tensor:
        image, position = image.detach(), position.detach().requires_grad_()
        if serves_points(image, position):
            values = at_points(image, position)
            values.sum().backward()
        similarity = HistogramSimilarity(fixed.detach(), bins, mutual_information)
        values = (0.3 * position.detach()[:, :1] + 0.5).expand(-1, channels, -1).clone().requires_grad_()
        found = similarity(values, weights.detach().abs())
        (gradient,) = torch.autograd.grad(found.sum(), values)
        return found.detach() if calm else torch.zeros(1) + 0 * gradient.numel()

    return Case(score, [image, position, fixed, weights], {'bins': bins}, gradients=False)


def _loss(make: Maker, loss: torch.nn.Module, shape: list[int], mask: Tensor | None, options: dict) -> Case:
    images = [make.tensor(name, shape) for name in ('first', 'second')]
    return Case(lambda a, b: loss(a, b, mask=None if mask is None else mask.to(a.dtype)), images, options)


def run(made: Case, kernels: bool, dtype: torch.dtype) -> list[Tensor] | str:
    """Value and gradients, or the kind of the error."""
    inputs = [x.detach().to(dtype).requires_grad_() for x in made.tensors]
    try:
        with use_compiled(kernels):
            out = made.function(*inputs)
            if not made.gradients:
                return [out.detach()]
            weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(3)).to(dtype)
            found = torch.autograd.grad((out * weights).sum(), inputs)
    except Exception as error:  # both ways have to fail alike
        return type(error).__name__
    return [out.detach(), *found]


def problems(made: Case) -> list[str]:
    """Where the kernels and PyTorch do not agree: on an error, on what is finite, or on the numbers."""
    mine, single, double = (
        run(made, *way) for way in ((True, torch.float32), (False, torch.float32), (False, torch.float64))
    )
    if isinstance(mine, str) or isinstance(single, str):
        return (
            []
            if mine == single
            else [f'{mine if isinstance(mine, str) else "no error"} with kernels, {single} without']
        )
    found = []
    for what, a, b, exact in zip(('value', 'first gradient', 'second gradient'), mine, single, double):
        if not torch.equal(a.isfinite(), b.isfinite()):
            found.append(
                f'{what}: {int((~a.isfinite()).sum())} not finite with kernels, {int((~b.isfinite()).sum())} without'
            )
            continue
        known = a.isfinite() & exact.isfinite()
        if not known.any():
            continue
        scale = float(exact[known].abs().max()) or 1.0
        if what == 'value' and made.words['operation'] in ('correlated', 'self_similar'):
            scale = max(scale, 1e-3)  # a loss between 0 and 1: that of a constant image is rounding
        error, usual = (float((x.double() - exact)[known].abs().max()) / scale for x in (a, b))
        if error > max(1e-3, 5 * usual):
            found.append(f'{what}: off by {error:.1e} of the largest, PyTorch by {usual:.1e}')
    return found


def main() -> None:
    seed, first, last = (int(word) for word in sys.argv[1:])
    for number in range(first, last):
        made = case(seed, number)
        torch.set_num_threads(1 + number % 3)
        print(json.dumps({'begins': number, **made.words}), flush=True)
        print(json.dumps({'ends': number, 'problems': problems(made)}), flush=True)


if __name__ == '__main__':
    main()
