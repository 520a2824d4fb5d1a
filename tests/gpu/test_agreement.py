"""A GPU computes what the processor computes: the spatial core, losses, and one config of each method."""

import pytest
import torch

from mmreg.models.losses import LNCC, MIND, MINDSSC
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.spatial import (
    box_sum,
    compose,
    gaussian_filter,
    invert,
    jacobian_determinant,
    local_ncc,
    resize,
    scaling_and_squaring,
    warp,
)
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')]

#: Operation -> function of an image and a field.
OPERATIONS = {
    'warp': lambda image, field: warp(image, field),
    'warp at the border': lambda image, field: warp(image, field, padding='border'),
    'compose': lambda image, field: compose(field, 0.5 * field),
    'integrate': lambda image, field: scaling_and_squaring(0.2 * field, 5),
    'invert': lambda image, field: invert(0.1 * field)[0],
    'box': lambda image, field: box_sum(image, 5),
    'gauss': lambda image, field: gaussian_filter(image, 1.5),
    'resize': lambda image, field: resize(image, [2 * n for n in image.shape[2:]]),
    'jacobian': lambda image, field: jacobian_determinant(field),
    'local_ncc': lambda image, field: local_ncc(image, warp(image, field), 5),
    'lncc': lambda image, field: LNCC(window=5).to(image.device)(image, warp(image, field)),
    'mind-ssc': lambda image, field: MINDSSC().to(image.device)(image, warp(image, field)),
    'mind': lambda image, field: MIND().to(image.device)(image, warp(image, field)),
}
METHODS = ('eoir_lumir', 'voxelmorph_lumir', 'lkunet_lumir', 'transmorph_lumir', 'sitreg_oasis', 'textscf_oasis')


@pytest.fixture(autouse=True)
def _exact():
    """No reduced precision inside convolutions."""
    saved = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = saved


@pytest.mark.parametrize('kernels', ['', 'triton'])
@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('name', OPERATIONS)
def test_operation_and_gradients(name, ndim, kernels, monkeypatch):
    monkeypatch.setenv('MMREG_COMPILED', kernels)
    size = (20, 18, 22)[:ndim]
    inputs = torch.randn(2, 1, *size), torch.randn(2, ndim, *size)
    results = []
    for device in ('cpu', 'cuda'):
        own = [x.to(device).requires_grad_() for x in inputs]
        out = OPERATIONS[name](*own)
        grads = torch.autograd.grad(out.square().mean(), own, allow_unused=True)
        results.append([out, *(g for g in grads if g is not None)])
    for found, truth in zip(results[1], results[0]):
        torch.testing.assert_close(found.cpu(), truth, rtol=1e-3, atol=1e-4 * float(truth.abs().max()))


@pytest.mark.parametrize('name', [name for name in METHODS if (config_folder() / f'{name}.py').is_file()])
def test_prediction_of_a_method(name):
    register_all_modules()
    torch.manual_seed(0)
    model = REGISTRARS.build(load_config(config_folder() / f'{name}.py').model).eval()
    size = (64,) * model.ndim
    images = {key: torch.rand(1, model.backbone.spec.image_channels, *size) for key in ('fixed', 'moving')}
    labels = {
        key: torch.zeros(1, 1, *size, dtype=torch.long) for key in ('fixed_labels', 'moving_labels', 'fixed_prompt')
    }
    inputs = images | labels
    with torch.no_grad():
        expected = model(inputs).displacement
        found = model.cuda()({key: value.cuda() for key, value in inputs.items()}).displacement.cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
