"""LapIRN's and SYMNet's published files: what arrives, what is told from the shapes, what is refused."""

from pathlib import Path

import pytest
import torch

from mmreg.commands.convert import main
from mmreg.converters import FAMILIES
from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config
from tests.golden.fill import fill

CONFIGS = Path(__file__).parents[2] / 'configs'
PREFIXES = ('model_lvl2.model_lvl1.', 'model_lvl2.', '')


def filled(shapes):
    return {name: torch.from_numpy(fill(name, shape)) for name, shape in shapes.items()}


def lapirn(channels=4, lite=False, conditional=False, ndim=3):
    """State dict of a small LapIRN under its published names."""
    kernel, shapes = (3,) * ndim, {}
    own = channels // 2 if lite else channels
    for level, prefix in enumerate(PREFIXES, start=1):
        up, merged = channels, 3 * channels // 4 if lite else channels
        if lite and level == 3:
            up = merged = channels // 2
        shapes[f'{prefix}input_encoder_lvl1.0.weight'] = (own, 2 if level == 1 else 2 + ndim, *kernel)
        shapes[f'{prefix}input_encoder_lvl1.2.weight'] = (own, own, *kernel)
        shapes[f'{prefix}down_conv.weight'] = (channels, own, *kernel)
        for k in range(0, 10, 2):
            block = f'{prefix}resblock_group_lvl1.{k}'
            for n in (1, 2):
                shapes[f'{block}.conv{n}.weight'] = (channels, channels, *kernel)
                if conditional:
                    shapes[f'{block}.ai{n}.style.weight'] = (2 * channels, 64)
                    shapes[f'{block}.ai{n}.style.bias'] = (2 * channels,)
            for m in range(0, 8, 2) if conditional else ():
                shapes[f'{block}.mapping.{m}.weight'] = (64, 64 if m else 1)
                shapes[f'{block}.mapping.{m}.bias'] = (64,)
        shapes[f'{prefix}up.weight'] = (channels, up, *[2] * ndim)
        shapes[f'{prefix}output_lvl1.0.weight'] = (merged, up + own, *kernel)
        shapes[f'{prefix}output_lvl1.2.weight'] = (ndim, merged, *kernel)
    return filled(shapes)


def symnet(n=2, ndim=3):
    """State dict of a small SYMNet under its published names."""
    shapes = {}

    def block(name, inner, outer, size=3, transposed=False):
        shapes[f'{name}.0.weight'] = (inner, outer) if transposed else (outer, inner)
        shapes[f'{name}.0.weight'] += (size,) * ndim
        shapes[f'{name}.0.bias'] = (outer,)

    block('eninput', 2, n)
    block('ec1', n, n)
    below = n
    for k, (strided, after) in enumerate(((2, 2), (4, 4), (8, 8), (16, 8))):
        block(f'ec{2 * k + 2}', below, strided * n)
        block(f'ec{2 * k + 3}', strided * n, after * n)
        below = after * n
    for k, (skip, first, second) in enumerate(((8, 8, 4), (4, 4, 2), (2, 4, 2), (1, 2, 2))):
        block(f'up{k + 1}', below, below, 2, transposed=True)
        block(f'dc{2 * k + 1}', below + skip * n, first * n)
        block(f'dc{2 * k + 2}', first * n, second * n)
        below = second * n
    for head in ('dc9', 'dc10'):
        shapes[f'{head}.0.weight'] = (ndim, below, *[5] * ndim)
    return filled(shapes)


CASES = {
    'lapirn': lapirn(),
    'lapirn_disp': lapirn(ndim=2),
    'clapirn': lapirn(8, lite=True, conditional=True),
    'symnet': symnet(),
}


def convert(tmp_path, family, content):
    torch.save(content, tmp_path / 'in.pth')
    model, unused = convert_file(family, tmp_path / 'in.pth', tmp_path / 'out.pth')
    stored = torch.load(tmp_path / 'out.pth', weights_only=True)
    assert stored['meta']['model'] == model and unused == []
    built = REGISTRARS.build({'type': 'Registrar', **model}).eval()
    built.load_state_dict(stored['state_dict'])
    return built


@pytest.mark.parametrize('family', list(CASES))
def test_every_weight_arrives_and_the_model_runs(tmp_path, family):
    model = convert(tmp_path, family, CASES[family])
    assert sum(p.numel() for p in model.parameters()) == sum(v.numel() for v in CASES[family].values())
    assert len(FAMILIES[family].convert(CASES[family])) == len(CASES[family]), 'no two keys become one'
    size = (19, 16, 17)[: model.ndim]
    with torch.no_grad():
        fields = model({key: torch.rand(1, 1, *size) for key in ('fixed', 'moving')})
    assert fields.displacement.shape == (1, model.ndim, *size)


def test_published_behaviour_is_on(tmp_path):
    diffeomorphic, displacement = convert(tmp_path, 'lapirn', lapirn()), convert(tmp_path, 'lapirn_disp', lapirn())
    assert diffeomorphic.integrator.steps == 7 and diffeomorphic.integrator.padding == 'border'
    assert type(displacement.integrator).__name__ == 'IdentityIntegrator'
    pyramid = diffeomorphic.flow_head.pyramid
    assert (pyramid.resampling, pyramid.order, diffeomorphic.backbone.method) == ('centres', 'xyz', 'average')
    symmetric = convert(tmp_path, 'symnet', symnet())
    assert symmetric.flow_head.flow.order == symmetric.flow_head.backward_flow.order == 'xyz'
    assert symmetric.flow_head.flow.scale == 100


def test_roles_of_the_published_symnet_command(tmp_path):
    """The authors' first image is the fixed one; the network itself does not care which is which."""
    model = convert(tmp_path, 'symnet', symnet())
    fixed, moving = torch.rand(2, 1, 1, 16, 16, 16)
    with torch.no_grad():
        published = model({'fixed': fixed, 'moving': moving})
        assert model.backbone.first == model.flow_head.first == 'fixed'
        model.backbone.first = model.flow_head.first = 'moving'
        turned = model({'fixed': moving, 'moving': fixed})
    assert torch.equal(published.displacement, turned.inverse_displacements[0])
    assert torch.equal(published.inverse_halves[0], turned.halves[0])


@pytest.mark.parametrize(('lite', 'channels'), [(False, 4), (True, 8)])
def test_layout_and_condition_are_read_from_the_shapes(tmp_path, lite, channels):
    model = convert(tmp_path, 'clapirn', lapirn(channels, lite, conditional=True))
    pyramid = model.flow_head.pyramid
    assert pyramid.conditional and pyramid.channels[1] == (6 if lite else 4)


def test_constructor_arguments_where_a_file_has_them(tmp_path):
    content = {'config': {'range_flow': 7, 'time_step': 3}, 'state_dict': symnet()}
    model = convert(tmp_path, 'symnet', content)
    assert model.flow_head.flow.scale == 7 and model.integrator.steps == 3
    model = convert(tmp_path, 'lapirn', {'config': {'range_flow': 0.2}, 'state_dict': lapirn()})
    assert model.flow_head.pyramid.flows[0].scale == 0.2


@pytest.mark.parametrize(
    ('family', 'lost'),
    [
        ('lapirn', 'model_lvl2.down_conv.weight'),
        ('lapirn', 'down_conv.weight'),
        ('lapirn_disp', 'output_lvl1.2.weight'),
        ('clapirn', 'resblock_group_lvl1.4.mapping.2.bias'),
        ('symnet', 'dc10.0.weight'),
        ('symnet', 'ec8.0.bias'),
    ],
)
def test_missing_weights_are_refused(tmp_path, family, lost):
    assert lost in CASES[family]
    torch.save({key: value for key, value in CASES[family].items() if key != lost}, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=r'in\.pth'):
        convert_file(family, tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_keys_that_do_not_fit_are_named(tmp_path, capsys):
    torch.save({**lapirn(), 'model_lvl2.resblock_group_lvl1.2.ai1.style.bias': torch.zeros(8)}, tmp_path / 'in.pth')
    assert main(['lapirn', str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')]) == 2
    assert 'model_lvl2.resblock_group_lvl1.2.ai1.style.bias' in capsys.readouterr().err
    assert main(['symnet', str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')]) == 2


@pytest.mark.parametrize(
    ('family', 'config', 'content'),
    [
        ('lapirn', 'lapirn_oasis_published', lapirn(28)),
        ('lapirn_disp', 'lapirn_oasis_disp_published', lapirn(28)),
        ('clapirn', 'clapirn_oasis_published', lapirn(16, lite=True, conditional=True)),
        ('symnet', 'symnet_oasis', symnet(7)),
    ],
)
def test_a_config_says_the_same_as_the_converter(family, config, content):
    """Converted weights run as published under this config: no setting of the network differs."""
    ours = load_config(CONFIGS / f'{config}.py').model
    found = FAMILIES[family].model(FAMILIES[family].convert(content))
    built = [REGISTRARS.build({'type': 'Registrar', 'ndim': 3, **network(model)}) for model in (ours, found)]
    assert str(built[0]) == str(built[1])
    assert settings(built[0]) == settings(built[1])


def network(model):
    return {key: dict(model[key]) for key in ('backbone', 'flow_head', 'integrator')}


def settings(model):
    """What is not in the text of the modules."""
    head = model.flow_head
    names = (
        'first',
        'method',
        'factors',
        'unit',
        'order',
        'resampling',
        'padding',
        'values',
        'conditional',
        'size_divisor',
    )
    return [
        getattr(part, name, None) for part in (model.backbone, head, getattr(head, 'pyramid', None)) for name in names
    ]


def test_an_unconditional_file_is_no_conditional_one(tmp_path):
    """Its keys are among those of conditional LapIRN; diffeomorphic weights must not become a displacement model."""
    torch.save(lapirn(), tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=r'in\.pth: no conditional layers.*lapirn'):
        convert_file('clapirn', tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()
    with pytest.raises(CheckpointError, match='families lapirn, lapirn_disp: name the right one'):
        convert_file('auto', tmp_path / 'in.pth', tmp_path / 'out.pth')
