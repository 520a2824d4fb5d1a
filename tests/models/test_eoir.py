"""EOIR: sizes of the published networks, its variants, and that it learns."""

import pytest
import torch

from mmreg.registry import BACKBONES, FLOW_HEADS, REGISTRARS


def network(channels, ndim=3, large=None, factors=2, levels=5):
    first = 0 if large is None else 1
    encoder = {'type': 'EOIREncoder', 'channels': channels, 'large_kernel': large}
    backbone = BACKBONES.build(
        {
            'type': 'ResizePyramid',
            'encoder': encoder,
            'levels': levels,
            'factors': factors,
            'first_level': first,
            'ndim': ndim,
        }
    )
    head = FLOW_HEADS.build({'type': 'CoarseToFineHead', 'features': backbone.spec, 'large_kernel': large})
    return backbone, head


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ('channels', 'encoder', 'estimator'), [(8, 7163, 20809), (16, 28147, 53225), (32, 111587, 159529)]
)
def test_generic_network_has_the_published_number_of_parameters(channels, encoder, estimator):
    backbone, head = network(channels)
    assert count(backbone) == encoder == 108 * channels**2 + 31 * channels + 3
    assert [count(e) for e in head.estimators] == [estimator] * 5


@pytest.mark.parametrize(
    ('channels', 'encoder', 'estimator'), [(8, 46380, 53098), (16, 184916, 182314), (32, 738468, 675754)]
)
def test_oasis_network_has_the_published_number_of_parameters(channels, encoder, estimator):
    backbone, head = network(channels, large=5, levels=4)
    assert count(backbone) == encoder
    assert [count(e) for e in head.estimators] == [estimator] * 4


def test_anisotropic_pyramid_keeps_the_third_axis():
    backbone, _ = network(4, factors=[2, 2, 1])
    image = torch.rand(1, 1, 32, 32, 5)
    features = backbone(image, image)
    assert [tuple(f.shape[2:]) for f, _ in features] == [(32, 32, 5), (16, 16, 5), (8, 8, 5), (4, 4, 5), (2, 2, 5)]
    assert backbone.spec.size_divisor == (16, 16, 1)


@pytest.mark.parametrize('all_axes', [True, False])
def test_through_plane_component_between_levels(all_axes):
    """A constant field of one voxel along each axis, upsampled by (2, 2, 1)."""
    backbone, _ = network(4, factors=[2, 2, 1], levels=2)
    head = FLOW_HEADS.build({'type': 'CoarseToFineHead', 'features': backbone.spec, 'scale_all_axes': all_axes})
    up = head._upsample(torch.ones(1, 3, 4, 4, 3), (2, 2, 1), (8, 8, 3))
    assert up.mean(dim=(0, 2, 3, 4)).tolist() == [2.0, 2.0, 2.0 if all_axes else 1.0]


@pytest.mark.parametrize('composition', ['compose', 'add'])
def test_one_network_learns_a_shift(composition):
    """A blob moved by two voxels is brought back: the loss falls far and the field points the right way."""
    torch.manual_seed(0)
    axes = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing='ij')
    blob = [torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 8) ** 2) / 12)[None, None] for c in (7.0, 9.0)]
    inputs = {'fixed': blob[0], 'moving': blob[1]}
    encoder = {'type': 'EOIREncoder', 'channels': 4}
    model = REGISTRARS.build(
        {
            'type': 'Registrar',
            'ndim': 2,
            'backbone': {'type': 'ResizePyramid', 'levels': 2, 'encoder': encoder},
            'flow_head': {'type': 'CoarseToFineHead', 'composition': composition},
            'integrator': {'type': 'ScalingSquaring'},
            'losses': {
                'similarity': {'type': 'MSE', 'weight': 1.0},
                'smoothness': {'type': 'Diffusion', 'penalty': 'l2', 'weight': 0.01, 'levels': [1, 0.5]},
            },
        }
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    history = []
    for _ in range(60):
        result = model(inputs, mode='loss')
        optimizer.zero_grad()
        (result['loss_similarity'] + result['loss_smoothness']).backward()
        optimizer.step()
        history.append(float(result['similarity']))
    assert history[-1] < 0.1 * history[0]
    with torch.no_grad():
        shift = model(inputs).displacement[0, :, 7, 8]
    assert shift[0] == pytest.approx(2.0, abs=0.6) and abs(float(shift[1])) < 0.6
