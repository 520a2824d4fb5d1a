"""An encoder that sees self-similarity: the contrast of an image changes nothing."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.registry import BACKBONES


def build(**changed):
    torch.manual_seed(0)
    return BACKBONES.build({'type': 'DescriptorPyramid', 'channels': [2, 3, 4], **changed})


@pytest.mark.parametrize('ndim', [2, 3])
def test_an_image_and_its_negative_have_the_same_features(ndim):
    image = torch.rand(2, 1, *(16,) * ndim, generator=torch.Generator().manual_seed(1))
    levels = build(ndim=ndim)(image, 0.7 - 0.4 * image)
    assert [level[0].shape[1:] for level in levels] == [(3, *(8,) * ndim), (4, *(4,) * ndim)]
    for fixed, moving in levels:
        torch.testing.assert_close(fixed, moving, atol=1e-3, rtol=1e-3)
        assert fixed.std() > 0.1


def test_weights_learn_and_images_do_not():
    backbone = build(siamese=False, first_level=0)
    image = torch.rand(1, 1, 16, 16, 16, requires_grad=True)
    sum(level.square().mean() for level in backbone(image, image.detach().flip(2))).backward()
    assert image.grad is None
    assert all(weight.grad is not None for weight in backbone.parameters())
    assert backbone.spec.image_channels == 1


@pytest.mark.parametrize('descriptor', [{'type': 'LNCC'}, {'type': 'MSE'}])
def test_a_loss_without_descriptor_is_refused(descriptor):
    with pytest.raises(ConfigError, match='expected a loss with a descriptor'):
        build(descriptor=descriptor)
