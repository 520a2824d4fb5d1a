"""``torch.compile(fullgraph=True)`` on every registered backbone and head: one graph, forward and backward, no break.

By the backend ``aot_eager``, which needs neither a GPU nor a compiler and traces as the others do.
"""

import pytest
import torch

from mmreg.registry import REGISTRARS

from . import cross_parts, devices

#: Parts whose graph breaks, and why.
BREAKS = {
    'ImagePyramid': 'the taps of its Gaussian are made as a tensor and read',
    'MatchingHead': 'a generator is handed to an operation',
    'PyramidHead': 'the same',
    'SITRegHead': 'writes into a part of a tensor',
    'TransMorph': 'an autograd function asks for more than tensors',
    'TextSCFHead': 'asks how many voxels each prompt has (see tests/models/devices.py)',
}
#: PyTorch's own tracer warns about its own use of autograd functions.
pytestmark = pytest.mark.filterwarnings('ignore:.*should not be instantiated:DeprecationWarning')
SIZE = (32, 32)


def compiled(function):
    torch._dynamo.reset()
    return torch.compile(function, backend='aot_eager', fullgraph=True)


def check(function, *inputs):
    """The compiled function gives what the plain one gives, and the same gradient."""
    found = []
    for run in (function, compiled(function)):
        leaves = [x.detach().clone().requires_grad_() for x in inputs]
        values = run(*leaves)
        torch.stack([value.float().square().mean() for value in values]).sum().backward()
        found.append([*values, *(x.grad for x in leaves if x.grad is not None)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def flat(features):
    return [x for level in features for x in (level if isinstance(level, tuple) else (level,))]


@pytest.mark.slow
@pytest.mark.parametrize('parts', cross_parts.each_part_once(), ids='-'.join)
def test_one_graph(parts):
    """In 2-D: volumes take the same code."""
    # The inverse of a displacement ends where its residual is small.
    if BREAKS.keys() & set(parts) or parts == ('ConvPyramid', 'ConvFlowHead', 'IdentityIntegrator'):
        with pytest.raises(torch._dynamo.exc.TorchDynamoException):
            check_parts(*parts)
    else:
        check_parts(*parts)


def check_parts(backbone, head, integrator):
    """The backbone alone, where the head is the usual one, and all three together."""
    spec = cross_parts.spec_of(backbone, 2)
    model = REGISTRARS.build(cross_parts.config(backbone, head, integrator, 2, spec.siamese)).eval()
    images = [torch.rand(1, spec.image_channels, *SIZE) for _ in range(2)]
    if head == 'ConvFlowHead':
        check(lambda fixed, moving: flat(model.backbone(fixed, moving)), *images)
    labels = {name: torch.ones(1, 1, *SIZE, dtype=torch.long) for name in devices.LABELS}
    check(lambda fixed, moving: model.fields({'fixed': fixed, 'moving': moving, **labels}).displacements, *images)
