"""TransMorph's and C2FViT's published files: what arrives, what is left out, what is refused."""

import inspect
from pathlib import Path

import pytest
import torch

from mmreg.converters import FAMILIES
from mmreg.converters.files import convert_file
from mmreg.converters.transmorph import window_of
from mmreg.errors import CheckpointError
from mmreg.models.blocks.swin import SwinEncoder
from mmreg.models.blocks.swin.attention import relative_index
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config
from tests.golden.fill import fill

CONFIGS = Path(__file__).parents[2] / 'configs'
PARTS = ('norm1', 'norm2', 'attn.proj', 'mlp.fc1', 'mlp.fc2')


def filled(shapes):
    return {name: torch.from_numpy(fill(name, shape)) for name, shape in shapes.items()}


def transmorph(form='base', ndim=2, width=4, window=(2, 3), heads=2, skips=True):
    """State dict of a small TransMorph with two stages under its published names, with the buffers of real files."""
    kernel = (3,) * ndim
    shapes = {'transformer.patch_embed.proj.weight': (width, 2, *[4] * ndim)}
    shapes |= {f'transformer.patch_embed.{name}': (width,) for name in ('proj.bias', 'norm.weight', 'norm.bias')}
    rows = 1
    for w in window:
        rows *= 2 * w - 1
    index = {}
    for i, c in enumerate((width, 2 * width)):
        for j in range(2):
            name = f'transformer.layers.{i}.blocks.{j}'
            for part, weight in zip(PARTS, ((c,), (c,), (c, c), (4 * c, c), (c, 4 * c))):
                shapes[f'{name}.{part}.weight'], shapes[f'{name}.{part}.bias'] = weight, weight[:1]
            shapes[f'{name}.attn.qkv.weight'] = (3 * c, c)
            shapes[f'{name}.attn.relative_position_bias_table'] = (rows, heads)
            index[f'{name}.attn.relative_position_index'] = relative_index(window)
        shapes[f'transformer.norm{i}.weight'] = shapes[f'transformer.norm{i}.bias'] = (c,)
    merged = 2**ndim * width
    shapes['transformer.layers.0.downsample.reduction.weight'] = (2 * width, merged)
    shapes['transformer.layers.0.downsample.norm.weight'] = (merged,)
    shapes['transformer.layers.0.downsample.norm.bias'] = (merged,)
    half = form in ('oasis', 'diff', 'bspl', 'tvf')
    below = 2 * width
    ups = [(width, width if skips else 0), (width // 2, width // 2 if skips else 0), (16, 16 if skips else 0)]
    if half:
        ups = [ups[0], (16 if form in ('oasis', 'diff') else width // 2, width // 2)]
    for k, (out, skip) in enumerate(ups):
        shapes[f'up{k}.conv1.0.weight'], shapes[f'up{k}.conv2.0.weight'] = (
            (out, below + skip, *kernel),
            (out, out, *kernel),
        )
        below = out
    names = {'c1.0.weight': (width // 2, 2, *kernel), 'c2.0.weight': (16, 2, *kernel)}
    shapes |= names if form in ('base', 'oasis', 'bayes') else {'c1.0.weight': names['c1.0.weight']}
    head = {'reg_head.0.weight': (ndim, below, *kernel), 'reg_head.0.bias': (ndim,)}
    if form in ('base', 'oasis', 'bayes'):
        shapes |= head
    if form == 'tvf':
        shapes |= {f'c1.1.{name}': (width // 2,) for name in ('weight', 'bias', 'running_mean', 'running_var')}
        for t in range(3):
            shapes[f'cs.{t}.0.weight'] = (width // 2, 2, *kernel)
            shapes |= {f'cs.{t}.1.{name}': (width // 2,) for name in ('weight', 'bias', 'running_mean', 'running_var')}
            shapes[f'up3s.{t}.conv1.0.weight'] = (5, below + width // 2, *kernel)
            shapes[f'up3s.{t}.conv2.0.weight'] = (5, 5, *kernel)
            shapes |= {f'reg_heads.{t}.0.weight': (ndim, 5, *kernel), f'reg_heads.{t}.0.bias': (ndim,)}
        shapes |= head
    if form == 'diff':
        for name in ('flow_mean', 'flow_sigma'):
            shapes[f'{name}.weight'], shapes[f'{name}.bias'] = (ndim, below, *kernel), (ndim,)
    if form == 'bspl':
        shapes |= {'resize_conv.0.0.weight': (5, below, *kernel), 'resize_conv.0.0.bias': (5,)}
        shapes |= {'out_layer.weight': (ndim, 5, *kernel), 'out_layer.bias': (ndim,)}
    state = {**filled(shapes), **index, 'spatial_trans.grid': torch.zeros(1, ndim, 4, 4)}
    if form == 'bayes':
        inner = {f'net.{name}': value for name, value in state.items()}
        inner['net.sigma_head.0.weight'] = torch.zeros(1, below, *kernel)
        return {**inner, **filled(head)}
    return state


def convert(tmp_path, family, content):
    torch.save(content, tmp_path / 'in.pt')
    model, unused = convert_file(family, tmp_path / 'in.pt', tmp_path / 'out.pth')
    stored = torch.load(tmp_path / 'out.pth', weights_only=True)
    assert stored['meta']['model'] == model
    built = REGISTRARS.build({'type': 'Registrar', **model}).eval()
    built.load_state_dict(stored['state_dict'])
    return built, unused


@pytest.mark.parametrize('window', [(2, 3), (5, 2), (4, 4), (2, 3, 4), (5, 6, 7), (5, 7, 6), (3, 2, 2)])
def test_the_index_buffer_tells_the_window(window):
    assert window_of(relative_index(window), len(window)) == window


FORMS = {
    'base': ('ConvFlowHead', 'IdentityIntegrator'),
    'oasis': ('ConvFlowHead', 'IdentityIntegrator'),
    'bayes': ('ConvFlowHead', 'IdentityIntegrator'),
    'diff': ('GaussianFlowHead', 'ScalingSquaring'),
    'bspl': ('FFDHead', 'BSplineFFD'),
    'tvf': ('TimeVaryingHead', 'IdentityIntegrator'),
}
#: Form of a config: which of its options must be what the converter says.
PUBLISHED = {
    'transmorph_ixi': 'base',
    'transmorph_oasis_published': 'oasis',
    'transmorph_large_oasis_published': 'oasis',
    'transmorph_bayes_ixi_published': 'bayes',
    'transmorph_diff_ixi_published': 'diff',
    'transmorph_bspl_ixi_published': 'bspl',
    'transmorph_lumir_published': 'tvf',
    'transmorph_tvf_oasis_published': 'tvf',
}
#: Sizes, which differ between the configs and the small files of these tests.
SIZES = ('width', 'depths', 'heads', 'window', 'channels', 'steps', 'image_channels', 'drop_path', 'use_checkpoint')


@pytest.mark.parametrize('form', FORMS)
def test_files_of_every_form(tmp_path, form):
    content = {'epoch': 3, 'state_dict': transmorph(form), 'best_dsc': 0.7, 'optimizer': {}}
    model, unused = convert(tmp_path, 'transmorph', content)
    head, integrator = FORMS[form]
    assert (type(model.flow_head).__name__, type(model.integrator).__name__) == (head, integrator)
    assert model.backbone.encoder.stages[0].window == (2, 3)
    assert any('relative_position_index' in key for key in unused) and any('grid' in key for key in unused)
    with torch.no_grad():
        fields = model({'fixed': torch.rand(1, 1, 24, 16), 'moving': torch.rand(1, 1, 24, 16)})
    assert fields.displacement.shape == (1, 2, 24, 16) and fields.displacement.isfinite().all()


@pytest.mark.parametrize('name', PUBLISHED)
def test_config_and_converter_agree(name):
    """Converted weights run in the config as they do by what the converter tells, up to the size of the network."""
    published = transmorph(PUBLISHED[name])
    family = FAMILIES['transmorph']
    told = family.model(family.convert(published), {'state_dict': published})
    model = load_config(CONFIGS / f'{name}.py').model.to_dict()
    with torch.device('meta'):
        built, expected = REGISTRARS.build(model), REGISTRARS.build({'type': 'Registrar', **told})
    assert type(built) is type(expected) and type(built.integrator) is type(expected.integrator)
    for part in ('backbone', 'flow_head', 'integrator'):
        ours, theirs = model[part], told[part]
        for key in (ours.keys() | theirs.keys()) - set(SIZES):
            default = default_of(getattr(built, part), key)
            assert _plain(ours.get(key, default)) == _plain(theirs.get(key, default)), f'{part}.{key}'


def default_of(part, key):
    """Default of a constructor argument of ``part`` or of what it hands it on to."""
    for owner in (*type(part).__mro__, SwinEncoder):
        found = inspect.signature(owner.__init__).parameters.get(key)
        if found is not None and found.default is not inspect.Parameter.empty:
            return found.default
    return None


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def test_slips_are_on_for_converted_weights(tmp_path):
    bayes, unused = convert(tmp_path, 'transmorph', {'state_dict': transmorph('bayes')})
    assert type(bayes).__name__ == 'MonteCarloRegistrar'
    assert bayes.backbone.encoder.stages[0].blocks[0].window_reverse == 'published_bayes'
    assert {'net.reg_head.0.weight', 'net.sigma_head.0.weight'} <= set(unused)
    oasis, unused = convert(tmp_path, 'transmorph', {'state_dict': transmorph('oasis')})
    assert oasis.flow_head.sampler == 'mixed_corners' and 'c2.0.weight' in unused
    diff, _ = convert(tmp_path, 'transmorph', {'state_dict': transmorph('diff')})
    assert not diff.integrator.divide and diff.flow_head.values == 'keep'
    bspl, _ = convert(tmp_path, 'transmorph', {'state_dict': transmorph('bspl')})
    assert bspl.integrator.sampler == bspl.flow_head.sampler == 'mixed_corners_sizes'


def test_skips_that_are_never_used_are_left_out(tmp_path):
    model, unused = convert(tmp_path, 'transmorph', {'state_dict': transmorph(skips=False)})
    assert {'c1.0.weight', 'c2.0.weight'} <= set(unused)
    assert not model.backbone.skips and not model.backbone.transformer_skips


def test_without_position_bias_the_file_has_no_index(tmp_path):
    state = {key: value for key, value in transmorph().items() if 'relative_position_index' not in key}
    arguments = {'window_size': [2, 3], 'num_heads': [2, 2], 'drop_path_rate': 0.1, 'spe': True}
    model, unused = convert(tmp_path, 'transmorph', {'state_dict': state, 'config': arguments})
    assert model.backbone.encoder.stages[0].blocks[0].attn.bias_table is None
    assert any('relative_position_bias_table' in key for key in unused)
    with pytest.raises(CheckpointError, match=r'in\.pt.*window_size'):
        convert(tmp_path, 'transmorph', {'state_dict': state})


def c2fvit(ndim=2, channels=8, stages=2):
    shapes = {}
    kernel = (3,) * ndim
    for k in range(1, stages + 1):
        size = 2 ** (k + 1) - 1
        shapes[f'patch_embed_{k}_xy.proj.weight'] = (channels, 2, *[size] * ndim)
        shapes[f'patch_embed_{k}_xy.proj.bias'] = (channels,)
        block = f'stage_{k}.0'
        shapes |= {
            f'{block}.attn.{name}.weight': (n * channels, channels) for name, n in (('q', 1), ('kv', 2), ('proj', 1))
        }
        shapes[f'{block}.attn.proj.bias'] = (channels,)
        shapes |= {f'{block}.mlp.fc1.weight': (2 * channels, channels), f'{block}.mlp.fc1.bias': (2 * channels,)}
        shapes |= {f'{block}.mlp.fc2.weight': (channels, 2 * channels), f'{block}.mlp.fc2.bias': (channels,)}
        shapes[f'{block}.mlp.dwconv.dwconv.weight'] = (2 * channels, 1, *kernel)
        shapes[f'head_{k}.0.weight'] = (channels // 2, channels)
        shapes[f'head_{k}.2.weight'] = (ndim * (ndim + 1), channels // 2)
        if k < stages:
            shapes |= {f'squeeze_{k}.weight': (channels, channels, *kernel), f'squeeze_{k}.bias': (channels,)}
    return filled(shapes)


def test_c2fvit_file(tmp_path):
    model, unused = convert(tmp_path, 'c2fvit', c2fvit())
    assert not unused and type(model).__name__ == 'CentredRegistrar'
    assert model.backbone.spec.levels == 3 and model.backbone.resized_levels == 1
    with torch.no_grad():
        fields = model({'fixed': torch.rand(1, 1, 24, 16), 'moving': torch.rand(1, 1, 24, 16)})
    assert fields.extras['affine'].shape == (1, 3, 3)


@pytest.mark.parametrize(
    ('family', 'content', 'lost'),
    [
        ('transmorph', transmorph(), 'up1.conv2.0.weight'),
        ('transmorph', transmorph(), 'transformer.layers.1.blocks.0.attn.qkv.weight'),
        ('transmorph', transmorph(), 'transformer.patch_embed.proj.weight'),
        ('transmorph', transmorph('diff'), 'flow_mean.weight'),
        ('c2fvit', c2fvit(), 'squeeze_1.weight'),
        ('c2fvit', c2fvit(), 'head_2.2.weight'),
    ],
)
def test_missing_weights_are_refused(tmp_path, family, content, lost):
    torch.save({key: value for key, value in content.items() if key != lost}, tmp_path / 'in.pt')
    with pytest.raises(CheckpointError, match=r'in\.pt'):
        convert_file(family, tmp_path / 'in.pt', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_every_rule_has_its_own_target():
    """No two published keys become one of ours."""
    for family, content in (('transmorph', transmorph()), ('transmorph', transmorph('bayes')), ('c2fvit', c2fvit())):
        chosen = FAMILIES[family]
        assert len(chosen.convert(content)) == len(content) - len(chosen.unused(content))
