"""Steps of gradient descent on a field: the kernels give what PyTorch gives."""

import pytest
import torch

from mmreg.models.flow_heads import FreeField
from mmreg.registration.optimisation.rules import Component, Length
from mmreg.registration.optimisation.settings import Settings
from mmreg.spatial.compiled import compiled_available, use_compiled

pytestmark = pytest.mark.skipif(not compiled_available(), reason='the kernels were not built: no C compiler')
SHAPES = [(1, 3, 9, 17, 35), (2, 3, 2, 3, 2), (2, 3, 5, 4, 33)]


def both(function):
    """The results with and without kernels."""
    results = []
    for compiled in (True, False):
        with use_compiled(compiled):
            results.append(function())
    return results


@pytest.mark.parametrize('shape', SHAPES)
def test_gradient_by_a_composed_increment(shape):
    generator = torch.Generator().manual_seed(0)
    head = FreeField([])
    head.reset(torch.randn(shape, generator=generator))
    gradient = torch.randn(shape, generator=generator)
    found, expected = both(lambda: head.increment_gradient(gradient))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('mobility', [(1, 1, 1), (0.5, 1, 0.25)])
@pytest.mark.parametrize('kind', [Component, Length])
@pytest.mark.parametrize('shape', SHAPES)
def test_increments(shape, kind, mobility):
    """Also from the second step on, where means have a past, and for a gradient that is zero at first."""
    settings = Settings.parse(dict(levels=[dict(spacing=1, iterations=1)]))
    gradients = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    gradients[0, 0] = 0

    def steps():
        rule = kind(settings, None, mobility, 0.5)
        return [rule(gradient, share) for gradient, share in zip(gradients, (1.0, 0.8, 0.1))]

    for found, expected in zip(*both(steps)):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        assert float(found.norm(dim=1).max()) <= 0.5 + 1e-5


def test_what_is_no_number_goes_where_pytorch_has_it():
    settings = Settings.parse(dict(levels=[dict(spacing=1, iterations=1)]))
    gradient = torch.randn(1, 3, 6, 7, 8, generator=torch.Generator().manual_seed(2))
    gradient[0, 1, 2, 3, 4] = float('nan')
    found, expected = both(lambda: Length(settings, None, (1, 1, 1), 0.5)(gradient))
    assert torch.equal(found.isnan(), expected.isnan()) and found.isnan().all()
