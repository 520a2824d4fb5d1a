"""VoxelMorph's and LKU-Net's published files: what arrives, what is left out, what is refused."""

import pytest
import torch

from mmreg.commands.convert import main
from mmreg.converters import FAMILIES
from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError
from mmreg.registry import REGISTRARS
from tests.golden.fill import fill


def filled(shapes):
    return {name: torch.from_numpy(fill(name, shape)) for name, shape in shapes.items()}


def vxm(encoder=(4, 6), decoder=(6, 6, 4), half_res=False, ndim=2):
    """State dict of a small VxmDense under its published names, with the grids that older files hold."""
    shapes, channels, skips = {}, 2, []
    kernel = (3,) * ndim
    for k, width in enumerate(encoder):
        shapes[f'unet_model.encoder.{k}.0.main'] = (width, channels, *kernel)
        channels = width
        skips.append(width)
    for k, width in enumerate(decoder[: len(encoder)]):
        shapes[f'unet_model.decoder.{k}.0.main'] = (width, channels, *kernel)
        last = k == len(encoder) - 1
        channels = width + (0 if half_res and last else skips.pop())
    for k, width in enumerate(decoder[len(encoder) :]):
        shapes[f'unet_model.remaining.{k}.main'] = (width, channels, *kernel)
        channels = width
    shapes['flow'] = (ndim, channels, *kernel)
    weights = {f'{name}.weight': shape for name, shape in shapes.items()}
    weights |= {f'{name}.bias': shape[:1] for name, shape in shapes.items()}
    grids = {'transformer.grid': torch.zeros(1, ndim, 4, 4), 'integrate.transformer.grid': torch.zeros(1, ndim, 2, 2)}
    return filled(weights) | grids


def lku(channels=2, ndim=2, kernel=7, heads=('dc9', 'dc10')):
    """State dict of a small LKU-Net under its published names."""
    n, shapes = channels, {}

    def block(name, inner, outer, size=3):
        shapes[f'{name}.0.weight'], shapes[f'{name}.0.bias'] = (outer, inner, *[size] * ndim), (outer,)
        shapes[f'{name}.1.weight'] = (1,)

    block('eninput', 2, n)
    block('ec1', n, n)
    widths = [n, 2 * n, 4 * n, 8 * n, 8 * n]
    for k in range(4):
        block(f'ec{2 * k + 2}', widths[k], widths[k + 1])
        for branch, size in (('regularKernel', 3), ('largeKernel', kernel), ('oneKernel', 1)):
            name = f'ec{2 * k + 3}.layer_{branch}.0'
            shapes[f'{name}.weight'] = (widths[k + 1], widths[k + 1], *[size] * ndim)
            shapes[f'{name}.bias'] = (widths[k + 1],)
        shapes[f'ec{2 * k + 3}.layer_nonlinearity.weight'] = (1,)
    below = 8 * n
    for k, (skip, first, second) in enumerate(((8, 8, 4), (4, 4, 2), (2, 4, 2), (1, 2, 2))):
        block(f'up{k + 1}', below, below, 2)
        block(f'dc{2 * k + 1}', below + skip * n, first * n)
        block(f'dc{2 * k + 2}', first * n, second * n)
        below = second * n
    for head in heads:
        shapes[f'{head}.0.weight'] = (ndim, below, *[3] * ndim)
    return filled(shapes)


def convert(tmp_path, family, content):
    torch.save(content, tmp_path / 'in.pt')
    model, unused = convert_file(family, tmp_path / 'in.pt', tmp_path / 'out.pth')
    stored = torch.load(tmp_path / 'out.pth', weights_only=True)
    assert stored['meta']['model'] == model
    built = REGISTRARS.build({'type': 'Registrar', **model})
    built.load_state_dict(stored['state_dict'])
    return built, unused


@pytest.mark.parametrize('half_res', [False, True])
def test_voxelmorph_file_with_its_arguments(tmp_path, half_res):
    arguments = {'inshape': [32, 32], 'int_steps': 5, 'int_downsize': 2, 'bidir': True, 'unet_half_res': half_res}
    model, unused = convert(tmp_path, 'voxelmorph', {'config': arguments, 'model_state': vxm(half_res=half_res)})
    assert unused == ['transformer.grid', 'integrate.transformer.grid']
    assert model.integrator.steps == 5 and model.flow_head.bidirectional
    assert model.backbone.half_res == half_res and model.backbone.spec.strides[0] == ((2, 2) if half_res else (1, 1))
    fields = model({'fixed': torch.rand(1, 1, 16, 16), 'moving': torch.rand(1, 1, 16, 16)})
    assert fields.velocities[0].shape[2:] == (8, 8) and fields.displacement.shape[2:] == (16, 16)


def test_voxelmorph_without_integration(tmp_path):
    content = {'config': {'int_steps': 0, 'int_downsize': 2, 'bidir': True}, 'model_state': vxm()}
    model, _ = convert(tmp_path, 'voxelmorph', content)
    with torch.no_grad():
        model.flow_head.flow.conv.bias.fill_(0.5)
        fields = model({'fixed': torch.rand(1, 1, 16, 16), 'moving': torch.rand(1, 1, 16, 16)})
    assert torch.equal(fields.displacement, fields.velocities[0])
    assert torch.equal(fields.inverse_displacements[0], -fields.displacement), 'published: minus the displacement'


def test_a_bare_voxelmorph_state_dict_gets_the_published_defaults(tmp_path):
    model, _ = convert(tmp_path, 'voxelmorph', vxm())
    assert model.integrator.steps == 7 and model.flow_head.int_downsize == (2, 2)
    assert model.backbone.down == 'pool'


def test_lkunet_reports_the_head_that_is_never_used(tmp_path):
    model, unused = convert(tmp_path, 'lkunet', lku())
    assert unused == ['dc10.0.weight']
    assert model.backbone.spec.strides[0] == (1, 1)


def test_lkunet_half_resolution_leaves_the_finest_level_out(tmp_path):
    model, unused = convert(tmp_path, 'lkunet_half', lku(heads=('dc9',)))
    assert {key.split('.')[0] for key in unused} == {'up4', 'dc7', 'dc8'}
    assert model.backbone.spec.strides[0] == (2, 2)


@pytest.mark.parametrize(
    ('family', 'content', 'lost'),
    [
        ('voxelmorph', vxm(), 'unet_model.decoder.1.0.main.bias'),
        ('voxelmorph', vxm(), 'flow.weight'),
        ('voxelmorph', vxm(), 'unet_model.encoder.0.0.main.weight'),
        ('lkunet', lku(), 'ec5.layer_oneKernel.0.weight'),
        ('lkunet', lku(), 'eninput.0.weight'),
        ('lkunet_half', lku(), 'dc9.0.weight'),
    ],
)
def test_missing_weights_are_refused(tmp_path, family, content, lost):
    torch.save({key: value for key, value in content.items() if key != lost}, tmp_path / 'in.pt')
    with pytest.raises(CheckpointError, match=r'in\.pt'):
        convert_file(family, tmp_path / 'in.pt', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_the_command_says_what_it_left_out(tmp_path, capsys):
    torch.save(lku(), tmp_path / 'in.pt')
    assert main(['lkunet', str(tmp_path / 'in.pt'), str(tmp_path / 'out.pth')]) == 0
    assert 'left out 1 entries without use here: dc10.0.weight' in capsys.readouterr().out
    assert main(['voxelmorph', str(tmp_path / 'in.pt'), str(tmp_path / 'other.pth')]) == 2
    assert 'eninput.0.weight' in capsys.readouterr().err


def test_every_rule_has_its_own_target():
    """No two published keys become one of ours."""
    for family, content in (('voxelmorph', vxm()), ('lkunet', lku())):
        chosen = FAMILIES[family]
        assert len(chosen.convert(content)) == len(content) - len(chosen.unused(content))
