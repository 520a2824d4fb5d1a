"""SITReg's and GradICON's published files: what arrives, what is left out, what is refused."""

import pytest
import torch

from mmreg.converters import FAMILIES
from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError
from mmreg.registry import REGISTRARS
from tests.golden.fill import fill


def filled(shapes):
    return {name: torch.from_numpy(fill(name, shape)) for name, shape in shapes.items()}


def layer(shapes, name, outer, inner, *kernel):
    shapes[f'{name}.weight'] = (outer, inner, *kernel) if kernel else (outer,)
    shapes[f'{name}.bias'] = (outer,)


def sitreg(features=(2, 4, 6), control=(4, 6, 8), convs=(2, 2, 1), ndim=2):
    """State dict of a small SITReg under its published names, with the buffers of its coordinate systems."""
    shapes = {}

    def blocks(name, inner, width, count):
        for k in range(count):
            layer(shapes, f'{name}.convolutions.{k}.conv', width, width if k else inner, *[3] * ndim)
            layer(shapes, f'{name}.normalizers.{k}', width, width)

    encoder = '_feature_extractor'
    layer(shapes, f'{encoder}.initial_projection', features[0], 1, *[1] * ndim)
    blocks(f'{encoder}.initial_convs', features[0], features[0], convs[0])
    for k, (inner, outer) in enumerate(zip(features, features[1:])):
        name = f'{encoder}.downsampling_blocks.{k}'
        layer(shapes, f'{name}.downsampling.conv', outer, inner, *[2] * ndim)
        layer(shapes, f'{name}.projection.conv', outer, inner, *[1] * ndim)
        blocks(f'{name}.conv', outer, outer, convs[k + 1])
    for k, (inner, width) in enumerate(zip(features, control)):
        name = f'_not_none_dense_extration_networks.{k}'
        blocks(f'{name}.convolutions', 2 * inner, width, convs[k])
        layer(shapes, f'{name}.final_convolution.conv', ndim, width, *[1] * ndim)
    return filled(shapes) | {'_image_coordinate_system._indicator': torch.zeros(0)}


def gradicon(networks, down=(4, 6), up=(4, 6), ndim=2):
    """State dict of a chain of small U-Nets under the published names."""
    shapes = {}
    for name in networks:
        widths = (2, *down)
        for k, (inner, outer) in enumerate(zip(widths, down)):
            layer(shapes, f'{name}.downConvs.{k}', outer, inner, *[3] * ndim)
        below = [widths[k] + up[k] for k in range(1, len(up))] + [down[-1]]
        for k, width in enumerate(up):
            shapes[f'{name}.upConvs.{k}.weight'] = (below[k], width, *[4] * ndim)
            shapes[f'{name}.upConvs.{k}.bias'] = (width,)
            for last in ('weight', 'bias', 'running_mean', 'running_var'):
                shapes[f'{name}.batchNorms.{k}.{last}'] = (width,)
            shapes[f'{name}.batchNorms.{k}.num_batches_tracked'] = ()
        layer(shapes, f'{name}.lastConv', ndim, 2 + up[0], *[3] * ndim)
    return filled(shapes)


FOUR = (
    'netPhi.netPhi.net.netPhi.net.net',
    'netPhi.netPhi.net.netPsi.net',
    'netPhi.netPsi.net',
    'netPsi.net',
)
THREE = ('netPhi.net.netPhi.net.net', 'netPhi.net.netPsi.net', 'netPsi.net')


def convert(tmp_path, family, content):
    torch.save(content, tmp_path / 'in.pt')
    model, unused = convert_file(family, tmp_path / 'in.pt', tmp_path / 'out.pth')
    stored = torch.load(tmp_path / 'out.pth', weights_only=True)
    assert stored['meta']['model'] == model
    built = REGISTRARS.build({'type': 'Registrar', **model})
    built.load_state_dict(stored['state_dict'])
    return built.eval(), unused


def fields(model):
    size = (15, 18, 13)[: model.ndim]
    return model({'fixed': torch.rand(1, 1, *size), 'moving': torch.rand(1, 1, *size)})


@pytest.mark.parametrize('ndim', [2, 3])
def test_sitreg_file_with_its_arguments(tmp_path, ndim):
    arguments = {'group_norm_groups': 2, 'max_control_point_multiplier': 0.5}
    content = {'config': arguments, 'state_dict': sitreg(ndim=ndim)}
    model, unused = convert(tmp_path, 'sitreg', content)
    assert unused == ['_image_coordinate_system._indicator']
    assert model.backbone.blocks[0].norm.num_groups == 2 and model.ndim == ndim
    assert len(model.backbone.levels[1].blocks) == 1 and len(model.flow_head.networks[2].blocks) == 1
    assert (model.integrator.tolerance, model.integrator.iterations) == (1e-2, 50)
    found = fields(model)
    assert found.displacement.shape == found.inverse_displacements[0].shape
    assert found.displacement.abs().max() > 0.05


def test_a_bare_sitreg_state_dict_gets_the_published_defaults(tmp_path):
    model, _ = convert(tmp_path, 'sitreg', sitreg((4, 8), (4, 8), (2, 2)))
    assert model.backbone.blocks[0].norm.num_groups == 4
    assert model.flow_head.networks[0]._bound[0] == pytest.approx(0.99 * 0.45)


@pytest.mark.parametrize(
    ('family', 'networks', 'levels'), [('unigradicon', FOUR, [2, 1, 0, 0]), ('gradicon', THREE, [2, 1, 0])]
)
@pytest.mark.parametrize('ndim', [2, 3])
def test_gradicon_chains(tmp_path, family, networks, levels, ndim):
    content = gradicon(networks, ndim=ndim) | {'identity_map': torch.zeros(1, ndim, 4, 4)}
    model, unused = convert(tmp_path, family, content)
    assert unused == ['identity_map']
    assert [step.level for step in model.flow_head.networks] == levels
    assert torch.equal(
        model.flow_head.steps[0].backbone.down[1].conv.weight, content[f'{networks[0]}.downConvs.1.weight']
    )
    assert fields(model).displacement.abs().max() > 0.05


def test_the_two_chains_are_not_taken_for_each_other(tmp_path):
    for family, networks in (('gradicon', FOUR), ('unigradicon', THREE)):
        torch.save(gradicon(networks), tmp_path / 'in.pt')
        with pytest.raises(CheckpointError, match=family):
            convert_file(family, tmp_path / 'in.pt', tmp_path / 'out.pth')


@pytest.mark.parametrize(
    ('family', 'content', 'lost'),
    [
        ('sitreg', sitreg(), '_feature_extractor.downsampling_blocks.1.projection.conv.weight'),
        ('sitreg', sitreg(), '_not_none_dense_extration_networks.0.final_convolution.conv.bias'),
        ('sitreg', sitreg(), '_feature_extractor.initial_projection.weight'),
        ('unigradicon', gradicon(FOUR), f'{FOUR[2]}.batchNorms.0.running_var'),
        ('unigradicon', gradicon(FOUR), f'{FOUR[0]}.downConvs.0.weight'),
    ],
)
def test_missing_weights_are_refused(tmp_path, family, content, lost):
    torch.save({key: value for key, value in content.items() if key != lost}, tmp_path / 'in.pt')
    with pytest.raises(CheckpointError, match=r'in\.pt'):
        convert_file(family, tmp_path / 'in.pt', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_levels_without_a_network_and_the_affine_part_are_refused(tmp_path):
    left_out = {k: v for k, v in sitreg().items() if not k.startswith('_not_none_dense_extration_networks.2')}
    affine = sitreg() | {'_affine_extraction_network.linear.weight': torch.zeros(2, 2)}
    for content, says in ((left_out, '2 control-point networks for 3 levels'), (affine, '_affine_extraction_network')):
        torch.save(content, tmp_path / 'in.pt')
        with pytest.raises(CheckpointError, match=says):
            convert_file('sitreg', tmp_path / 'in.pt', tmp_path / 'out.pth')


def test_every_rule_has_its_own_target():
    """No two published keys become one of ours."""
    for family, content in (('sitreg', sitreg()), ('unigradicon', gradicon(FOUR)), ('gradicon', gradicon(THREE))):
        chosen = FAMILIES[family]
        assert len(chosen.convert(content)) == len(content) - len(chosen.unused(content))
