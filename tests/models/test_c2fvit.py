"""C2FViT: the affine map its numbers mean, the head on any pairs, the centred start, matrices in world millimetres."""

import math

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.blocks.c2fvit import affine_from_parameters, parameter_count
from mmreg.models.flow_heads.affine import AffineTransformerHead
from mmreg.registry import BACKBONES, REGISTRARS
from mmreg.spatial import affine_displacement, identity_grid, warp
from mmreg.spatial.affine import voxel_matrix_from_normalised
from mmreg.spatial.mass import centre_of_mass
from mmreg.structures import RegSample

HEAD = {'type': 'AffineTransformerHead', 'stages': 2, 'channels': 8, 'depths': 1}
PYRAMID = {'type': 'ImagePyramid', 'levels': 3, 'method': 'block', 'resized_levels': 1}
LOSSES = {'similarity': {'type': 'LNCC', 'window': 3, 'negative': True}}


def build(ndim=2, **changes):
    torch.manual_seed(0)
    config = {'type': 'CentredRegistrar', 'ndim': ndim, 'backbone': PYRAMID, 'flow_head': HEAD, 'losses': LOSSES}
    return REGISTRARS.build({**config, **changes})


def blob(size, centre, width=4.0, axes=None):
    """A smooth bright ellipsoid."""
    grid = identity_grid(size)
    axes = axes or [1.0] * len(size)
    distance = sum(((grid[i] - c) / a).square() for i, (c, a) in enumerate(zip(centre, axes)))
    return torch.exp(-distance / (2 * width**2))[None, None]


def test_published_number_of_parameters():
    with torch.device('meta'):
        spec = BACKBONES.build({'type': 'ImagePyramid', 'levels': 4, 'method': 'block', 'ndim': 3}).spec
        head = AffineTransformerHead(spec)
    assert sum(p.numel() for p in head.parameters()) == 12_030_208


@pytest.mark.parametrize('ndim', [2, 3])
class TestParameters:
    def matrix(self, ndim, centre=None, **parts):
        pairs = ndim * (ndim - 1) // 2
        sizes = {'move': ndim, 'angles': pairs, 'shears': pairs, 'scales': ndim}
        values = [torch.tensor([parts.get(name, [0.0] * count)]) for name, count in sizes.items()]
        numbers = torch.cat(values, dim=1).double()
        assert numbers.shape[1] == parameter_count(ndim)
        centre = torch.zeros(1, ndim).double() if centre is None else torch.tensor([centre]).double()
        return affine_from_parameters(numbers, centre)[0]

    def test_zeros_are_the_identity(self, ndim):
        assert torch.equal(self.matrix(ndim, centre=[0.3] * ndim), torch.eye(ndim + 1).double())

    def test_each_number_alone(self, ndim):
        move = self.matrix(ndim, move=[0.25] + [0.0] * (ndim - 1))
        assert move[0, -1] == 0.25 and torch.equal(move[:ndim, :ndim], torch.eye(ndim).double())
        scale = self.matrix(ndim, scales=[0.5] + [0.0] * (ndim - 1))
        assert scale.diagonal().tolist() == [1.25] + [1.0] * ndim
        pairs = ndim * (ndim - 1) // 2
        shear = self.matrix(ndim, shears=[0.1] + [0.0] * (pairs - 1))
        assert shear[0, 1].item() == pytest.approx(math.pi * 0.1)
        turn = self.matrix(ndim, angles=[0.0] * (pairs - 1) + [0.5])  # a quarter turn from x towards y
        expected = [[0.0, -1.0], [1.0, 0.0]]
        torch.testing.assert_close(turn[:2, :2], torch.tensor(expected).double(), rtol=0, atol=1e-7)

    def test_the_centre_stays(self, ndim):
        centre = [0.3, -0.2, 0.1][:ndim]
        matrix = self.matrix(
            ndim, centre, angles=[0.2] * (ndim * (ndim - 1) // 2), scales=[0.4] * ndim, shears=[0.1] * (2 * ndim - 3)
        )
        point = torch.tensor([*centre, 1.0]).double()
        torch.testing.assert_close(matrix @ point, point, rtol=0, atol=1e-7)


@pytest.mark.parametrize('size', [(5, 9), (5, 9, 7)])
def test_normalised_matrices_act_on_voxels(size):
    """Against affine_grid, which has the published convention."""
    torch.manual_seed(0)
    ndim = len(size)
    matrix = torch.eye(ndim + 1).repeat(2, 1, 1)
    matrix[:, :ndim] += 0.2 * torch.randn(2, ndim, ndim + 1)
    grid = torch.nn.functional.affine_grid(matrix[:, :ndim], [2, 1, *size], align_corners=True)
    image = torch.rand(2, 1, *size)
    expected = torch.nn.functional.grid_sample(image, grid, align_corners=True)
    displacement = affine_displacement(voxel_matrix_from_normalised(matrix, size), size)
    torch.testing.assert_close(warp(image, displacement), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('ndim', [2, 3])
def test_trains_at_odd_sizes(pair, ndim):
    size = (21, 16, 11)[:ndim]
    model = build(ndim)
    result = model(pair(size, batch=2), mode='loss')
    result['loss_similarity'].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        fields = model.eval()(pair(size, batch=2))
    assert fields.displacement.shape == (2, ndim, *size) and not fields.velocities
    assert fields.extras['parameters'].shape == (2, 2, parameter_count(ndim))


def test_samples_do_not_share_a_matrix(pair):
    """Published helpers use the first sample's matrix for the whole batch."""
    model, inputs = build().eval(), pair((16, 16), batch=3)
    with torch.no_grad():
        for parameter in model.flow_head.stages[-1].head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        together = model(inputs).displacement
        alone = model({key: value[1:2] for key, value in inputs.items()}).displacement
    assert (together[0] - together[1]).abs().max() > 1e-3
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-4)


def test_weights_survive_a_file(pair, tmp_path):
    model, inputs = build().eval(), pair((16, 16))
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    torch.manual_seed(1)
    again = REGISTRARS.build(
        {'type': 'CentredRegistrar', 'ndim': 2, 'backbone': PYRAMID, 'flow_head': HEAD, 'losses': LOSSES}
    ).eval()
    again.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
    with torch.no_grad():
        assert torch.equal(model(inputs).displacement, again(inputs).displacement)


def test_centres_of_mass_meet():
    """A network that finds nothing still brings the blobs together, in one interpolation."""
    model = build(3).eval()
    for stage in model.flow_head.stages:
        torch.nn.init.zeros_(stage.head[2].weight)
    size = (24, 28, 20)
    fixed, moving = blob(size, (12, 14, 10), 2.0), blob(size, (9, 16, 10), 2.0)
    with torch.no_grad():
        (sample,) = model({'fixed': fixed, 'moving': moving}, mode='predict')
    found = sample.pred.displacement[:, 12, 14, 10].tolist()
    assert found == pytest.approx([-3.0, 2.0, 0.0], abs=0.02)
    torch.testing.assert_close(sample.pred.warped[None], fixed, rtol=0, atol=0.02)


def test_it_learns_a_translation():
    """A few steps bring the loss down: gradients reach every stage through the matrices."""
    model = build(2, type='Registrar', losses={'similarity': {'type': 'MSE'}})
    fixed, moving = blob((32, 32), (16, 16)), blob((32, 32), (13, 18))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    values = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = model({'fixed': fixed, 'moving': moving}, mode='loss')['loss_similarity']
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[-1] < 0.3 * values[0]


@pytest.mark.parametrize('padded', [False, True])
def test_world_matrix_is_that_of_the_displacement(padded):
    """Points through the matrix in mm land where the displacement puts them, also where the image was padded."""
    size = (21, 19) if padded else (16, 16)
    model = build(2).eval()
    with torch.no_grad():
        for parameter in model.flow_head.stages[-1].head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        affine = ((0.0, -2.0, 30.0), (1.5, 0.0, -7.0), (0.0, 0.0, 1.0))
        sample = RegSample(metainfo={'affine': affine})
        inputs = {'fixed': blob(size, (8, 9)), 'moving': blob(size, (6, 8), axes=(1.0, 1.4))}
        (sample,) = model(inputs, [sample], mode='predict')
    to_world = torch.tensor(affine).double()
    for point in ((3, 4), (8, 9)):
        u = sample.pred.displacement[(slice(None), *point)].double()
        voxel = torch.tensor([*point, 1.0]).double()
        moved = voxel + torch.cat([u, torch.zeros(1)])
        torch.testing.assert_close(sample.pred.affine_voxel @ voxel, moved, rtol=0, atol=1e-4)
        torch.testing.assert_close(sample.pred.affine @ to_world @ voxel, to_world @ moved, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    'backbone',
    [
        {'type': 'ResizePyramid', 'levels': 3, 'encoder': {'type': 'EOIREncoder', 'channels': 4}},
        {'type': 'PoolingPyramid', 'levels': 3},
        {'type': 'ImagePyramid', 'levels': 2},
    ],
)
def test_works_on_other_pairs(pair, backbone):
    model = build(backbone=backbone)
    model(pair((24, 24)), mode='loss')['loss_similarity'].backward()
    assert all(p.grad is not None for p in model.flow_head.parameters())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'backbone': {'type': 'UNet'}}, 'joint features'),
        ({'flow_head': {**HEAD, 'stages': 4}}, 'stages=4'),
        ({'integrator': {'type': 'ScalingSquaring'}}, 'not integrated'),
        ({'backbone': {**PYRAMID, 'factors': (2, 1)}}, 'reduced alike'),
        ({'backbone': {**PYRAMID, 'resized_levels': 3}}, 'resized_levels'),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(changes, message):
    with pytest.raises(ConfigError, match=message):
        build(**changes)


def test_another_head_after_the_centred_start(pair):
    """The start is a matter of the registrar: any network may follow, with its inverse and coarser levels."""
    model = build(
        backbone={'type': 'UNet', 'features': [[4], [4, 4]]},
        flow_head={'type': 'ConvFlowHead', 'bidirectional': True},
        integrator={'type': 'ScalingSquaring', 'steps': 3},
    ).eval()
    inputs = {'fixed': blob((32, 32), (16, 16)), 'moving': blob((32, 32), (19, 14))}
    with torch.no_grad():
        fields = model(inputs)
    shift = (centre_of_mass(inputs['moving']) - centre_of_mass(inputs['fixed']))[0]
    assert shift.tolist() == pytest.approx([3, -2], abs=0.1)
    assert fields.displacement[0, :, 16, 16].tolist() == pytest.approx(shift.tolist(), abs=1e-2)
    assert fields.inverse_displacements[0][0, :, 16, 16].tolist() == pytest.approx((-shift).tolist(), abs=1e-2)


def test_centre_of_mass():
    image = torch.zeros(3, 2, 7, 5)
    image[0, 0, 2, 3], image[0, 1, 4, 3] = 1.0, 3.0
    image[1, :, 6, 0] = 2.0
    found = centre_of_mass(image)
    assert found.tolist() == [[3.5, 3.0], [6.0, 0.0], [3.0, 2.0]], 'an empty image: the centre of the grid'
