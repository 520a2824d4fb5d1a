"""How often the registration of one pair waits for a GPU: once per iteration of the field, twice per affine step.

Counted on the processor: every place where Python asks a tensor for numbers, whatever device it is on.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmreg.registration.affine.objective import make_objective
from mmreg.registration.affine.parameters import generators
from mmreg.registration.affine.settings import AffineSettings
from mmreg.registration.optimisation import optimise
from mmreg.spatial.compiled import use_compiled
from tests.models.devices import WAITS

from .affine.test_affine_parts import phantom_levels
from .test_optimisation import make_model, make_pair

#: Methods that copy numbers to the host without an operation of their own.
_READS = ('tolist', 'numpy', 'cpu', '__array__')


class Operations(TorchDispatchMode):
    """Counts operations whose result depends on numbers."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += any(word in str(func) for word in WAITS)
        return func(*args, **(kwargs or {}))


class Reads(TorchFunctionMode):
    """Counts the methods that hand numbers to Python."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += getattr(func, '__name__', '') in _READS
        return func(*args, **(kwargs or {}))


def waits(run):
    """How many ``run`` needs, and how many there had been when it called what it is given; without compiled kernels."""
    seen = []
    with use_compiled(False), Operations() as operations, Reads() as reads:
        run(lambda *_: seen.append(operations.count + reads.count))
    return operations.count + reads.count, seen


def test_the_count_sees_what_it_is_for():
    x = torch.ones(3)
    assert waits(lambda look: x + x) == (0, [])
    for ask in (lambda: float(x.sum()), x.tolist, x.numpy, x.nonzero, lambda: bool(x.any()), x.cpu):
        assert waits(lambda look, ask=ask: (look(), ask(), look())) == (1, [0, 1])


@pytest.mark.parametrize('update', ['compose', 'add'])
@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('landmarks', [False, True])
def test_of_the_field(update, masked, landmarks):
    fixed, moving, _ = make_pair((24, 20))
    losses = dict(similarity=dict(type='LNCC', window=5), mind=dict(type='MINDSSC'), smoothness=dict(type='Diffusion'))
    model = make_model(losses=losses, update=update)
    inputs = dict(fixed=fixed, moving=moving)
    if masked:
        inputs |= dict(fixed_mask=torch.ones_like(fixed), moving_mask=torch.ones_like(fixed))
    if landmarks:
        inputs |= {f'{name}_landmarks': [torch.tensor([[5.0, 6.0], [12.0, 9.0]])] for name in ('fixed', 'moving')}

    settings = dict(levels=[dict(scale=1, iterations=5)], landmark_pull=0.5 * landmarks)
    _, seen = waits(lambda look: optimise(model, inputs, settings, progress=look))
    assert [after - before for before, after in pairwise(seen)] == [1 + landmarks] * 4


@pytest.mark.parametrize('similarity', ['mi', 'lncc'])
def test_of_the_affine_search(similarity):
    objective = make_objective(*phantom_levels(), AffineSettings(similarity=similarity), 0, 5.0, 500, 0)
    basis, place = generators('affine', 3, objective.points.radius), np.zeros(12)
    assert waits(lambda _: objective.value_and_gradient(np.eye(4), basis, place))[0] <= 2
    assert waits(lambda _: objective.score(np.stack([np.eye(4)] * 3)))[0] <= 4  # however many are scored together
