"""``torch.compile(fullgraph=True)`` on every registered backbone and head: one graph, forward and backward, no break.

By the backend ``aot_eager``, which needs neither a GPU nor a compiler and traces as the others do.
"""

import pytest
import torch

from mmreg.registry import REGISTRARS

from . import cross_parts, devices

#: Parts whose graph breaks, and why.
BREAKS = {
    'TextSCFHead': 'asks how many voxels each prompt has (see tests/models/devices.py)',
}
SIZES = {2: (16, 24), 3: (16, 8, 8)}


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
@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('parts', cross_parts.each_part_once(), ids='-'.join)
def test_one_graph(parts, ndim):
    backbone, head, integrator = parts
    spec = cross_parts.spec_of(backbone, ndim)
    model = REGISTRARS.build(cross_parts.config(backbone, head, integrator, ndim, spec.siamese)).eval()
    images = [torch.rand(1, spec.image_channels, *SIZES[ndim]) for _ in range(2)]
    if head == 'ConvFlowHead':  # the backbone's turn
        check(lambda fixed, moving: flat(model.backbone(fixed, moving)), *images)
    labels = {name: torch.ones(1, 1, *SIZES[ndim], dtype=torch.long) for name in devices.LABELS}

    def fields(fixed, moving):
        inputs = {'fixed': fixed, 'moving': moving, **labels}
        return model.fields(inputs).displacements

    if head in BREAKS:
        with pytest.raises(torch._dynamo.exc.Unsupported):
            check(fields, *images)
    else:
        check(fields, *images)
