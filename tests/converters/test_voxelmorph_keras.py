"""Keras' files of VoxelMorph: every layout, the fields of an independent computation, and what is refused."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from mmreg.cli import main
from mmreg.converters.files import convert_file
from mmreg.converters.keras_files import read_keras
from mmreg.errors import CheckpointError
from mmreg.io import Geometry, Volume, read_volume, write_volume
from mmreg.registry import REGISTRARS
from mmreg.utils.checkpoint import read_checkpoint
from tests.converters.keras_reference import LAYOUTS, displacement, made_weights, write
from tests.golden.fill import image

HALF = {'unet_half_res': True, 'int_downsize': 2}


def converted(source):
    """Our model with the weights of a file, and its description."""
    target = source.with_suffix('.pth')
    described, _ = convert_file('auto', source, target)
    model = REGISTRARS.build({'type': 'Registrar', **described}).eval()
    model.load_state_dict(torch.load(target, weights_only=True)['state_dict'])
    return model, described


def both_fields(source, weights, size, **options):
    """The converted network's displacement and that of the reference, ``(ndim, *size)``."""
    moving, fixed = image(1, size).astype(np.float32), image(2, size).astype(np.float32)
    model, described = converted(source)
    with torch.no_grad():
        given = {'fixed': torch.from_numpy(fixed)[None, None], 'moving': torch.from_numpy(moving)[None, None]}
        ours = model(given).displacement[0].numpy()
    theirs = np.moveaxis(displacement(weights, moving, fixed, **options), -1, 0)
    assert np.abs(theirs).max() > 0.5, 'fields that say nothing'
    return ours, theirs, described


@pytest.mark.parametrize(
    ('made', 'arguments', 'options'),
    [
        ({}, {'int_steps': 5, 'int_downsize': 2}, {'steps': 5}),
        ({}, {'int_steps': 7, 'int_resolution': 2, 'svf_resolution': 1, 'int_downsize': None}, {}),
        ({}, {'int_steps': 7, 'int_downsize': 1}, {'downsize': 1}),
        ({}, {'int_steps': 0, 'int_downsize': 2}, {'steps': 0}),
        ({'half': True}, HALF, {'half': True}),
        ({'half': True}, {'svf_resolution': 2, 'int_resolution': 2}, {'half': True}),
        ({'encoder': (4, 4, 6, 6), 'decoder': (6, 6, 4, 4, 4), 'per_level': 2}, {'int_downsize': 2}, {}),
        ({'name': '', 'half': True}, HALF, {'half': True, 'name': ''}),
        ({'encoder': (3, 4, 5), 'decoder': (5, 4, 3)}, {}, {}),
    ],
)
def test_the_field_is_that_of_an_independent_computation(tmp_path, made, arguments, options):
    weights = made_weights(**made)
    source = write(tmp_path / 'in.h5', weights, config={'inshape': [16, 24, 8], **arguments})
    ours, theirs, _ = both_fields(source, weights, (16, 24, 8), **options)
    assert np.abs(ours - theirs).max() < 2e-4


def test_slices(tmp_path):
    weights = made_weights(ndim=2, half=True)
    source = write(tmp_path / 'in.h5', weights, config={'inshape': [24, 16], **HALF})
    ours, theirs, described = both_fields(source, weights, (24, 16), half=True)
    assert described['ndim'] == 2 and np.abs(ours - theirs).max() < 2e-4


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_nesting_of_the_groups(tmp_path, layout):
    weights = made_weights(half=True)
    config = None if layout == 'weights alone' else {'inshape': [16, 16, 16], **HALF}
    content = read_keras(write(tmp_path / 'in.h5', weights, layout, config, compression='gzip'))
    assert set(content['state_dict']) == {f'{layer}.{last}' for layer in weights for last in ('weight', 'bias')}
    kernel, bias = weights['vxm_dense_flow']
    assert np.array_equal(content['state_dict']['vxm_dense_flow.weight'], np.moveaxis(kernel, (-1, -2), (0, 1)))
    assert np.array_equal(content['state_dict']['vxm_dense_flow.bias'], bias)
    assert ('config' in content) == (config is not None)


def test_without_its_arguments_the_guess_is_told(tmp_path):
    source = write(tmp_path / 'in.h5', made_weights(), 'weights alone')
    _, described = converted(source)
    assert described['integrator'] == {'type': 'ScalingSquaring', 'steps': 7, 'padding': 'border'}
    assert 'integrator' in read_checkpoint(source.with_suffix('.pth'))['meta']['untold']


def test_layers_tell_what_the_arguments_would(tmp_path):
    layers = [
        {'class_name': 'Conv3D', 'config': {'name': 'vxm_dense_flow'}},
        {'class_name': 'RescaleTransform', 'config': {'zoom_factor': 0.25}},
        {'class_name': 'VecInt', 'config': {'int_steps': 3}},
        {'class_name': 'RescaleTransform', 'config': {'zoom_factor': 4}},
    ]
    source = write(tmp_path / 'in.h5', made_weights(), config={'layers': layers}, class_name='Functional')
    _, described = converted(source)
    assert described['integrator']['steps'] == 3 and described['flow_head']['int_downsize'] == 4


def test_an_uncertain_flow_has_its_mean(tmp_path):
    weights = made_weights(half=True, probable=True)
    source = write(tmp_path / 'in.h5', weights, config={'use_probs': True, **HALF})
    ours, theirs, described = both_fields(source, weights, (16, 16, 16), half=True)
    assert described['flow_head']['type'] == 'GaussianFlowHead' and np.abs(ours - theirs).max() < 2e-4


def test_from_the_file_to_registered_images(tmp_path, capsys):
    weights = made_weights(half=True)
    weights['vxm_dense_flow'] = tuple(0.02 * array for array in weights['vxm_dense_flow'])
    source = write(tmp_path / 'in.h5', weights, config=HALF)
    for name, seed in (('fixed', 1), ('moving', 2)):
        grid = Geometry((20, 18, 16), np.diag([2.0, 2.0, 2.5, 1]))
        write_volume(tmp_path / f'{name}.nii.gz', Volume(image(seed, grid.shape).astype(np.float32), grid))
    images = [str(tmp_path / f'{name}.nii.gz') for name in ('fixed', 'moving')]
    assert main(['convert', 'auto', str(source), str(tmp_path / 'out.pth')]) == 0
    shown = capsys.readouterr().out
    assert 'voxelmorph_keras' in shown and 'voxelmorph_oasis.py' in shown and 'model.backbone.half_res=True' in shown
    told = ['--checkpoint', str(tmp_path / 'out.pth'), '--affine', 'none']
    assert main(['register', *images, '-o', str(tmp_path / 'out'), *told]) == 0
    assert read_volume(tmp_path / 'out/warped.nii.gz').geometry.shape == (20, 18, 16)
    assert main(['register', *images, '-o', str(tmp_path / 'no'), '--checkpoint', str(source)]) == 2
    assert 'mmreg convert' in capsys.readouterr().err and not (tmp_path / 'no').exists()


@pytest.mark.parametrize(
    ('made', 'arguments', 'words'),
    [
        ({'half': True}, {'svf_resolution': 4}, 'svf_resolution 4'),
        ({}, {'svf_resolution': 2}, 'expected that of its layers'),
        ({'half': True}, {'unet_half_res': True, 'int_resolution': 1}, 'at half resolution'),
        ({}, {'int_steps': 900}, 'int_steps 900'),
        ({}, {'int_steps': 'many'}, 'no whole checkpoint'),
        ({}, {'src_feats': 2}, 'as many in both'),
        ({}, {'int_downsize': 10**12}, 'sizes above'),
    ],
)
def test_options_that_cannot_be_run(tmp_path, made, arguments, words):
    source = write(tmp_path / 'in.h5', made_weights(**made), config=arguments)
    with pytest.raises(CheckpointError, match=words) as error:
        convert_file('voxelmorph_keras', source, tmp_path / 'out.pth')
    assert 'in.h5' in str(error.value) and not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize(
    ('layers', 'words'),
    [
        ([f'conv3d_{k}' for k in range(1, 12)], 'CVPR and MICCAI 2018'),
        (['hyper_vxm_dense_hyp_dense_1', 'hyper_vxm_dense_unet_enc_conv_0_0'], 'HyperMorph'),
        (['dense', 'dense_1'], 'belongs to no family'),
    ],
)
def test_other_networks_are_called_by_their_names(tmp_path, layers, words):
    kernels = {layer: (np.ones((3, 3, 3, 2, 2), np.float32), np.ones(2, np.float32)) for layer in layers}
    source = write(tmp_path / 'in.h5', kernels, config={})
    for family in ('auto', 'voxelmorph_keras'):
        expected = 'do not belong' if family != 'auto' and 'family' in words else words
        with pytest.raises(CheckpointError, match=expected):
            convert_file(family, source, tmp_path / 'out.pth')


def _elsewhere(file, tmp_path):
    (tmp_path / 'raw').write_bytes(bytes(4 * 27 * 4))
    file.create_dataset('a/kernel:0', (3, 3, 3, 2, 2), 'f4', external=[(str(tmp_path / 'raw'), 0, 432)])


def _virtual(file, tmp_path):
    layout = h5py.VirtualLayout((4,), 'f4')
    layout[:] = h5py.VirtualSource(str(tmp_path / 'other.h5'), 'x', (4,))
    file.create_virtual_dataset('a/bias:0', layout)


def _larger(file, tmp_path):
    file.create_dataset('a/kernel:0', (3, 3, 3, 512, 512), 'f4', compression='gzip', fillvalue=1)


def _objects(file, tmp_path):
    file.create_dataset('a/kernel:0', data=['os.system'], dtype=h5py.string_dtype())


def _twice(file, tmp_path):
    file['m/a/kernel:0'], file['n/a/kernel:0'] = np.ones(3, 'f4'), np.zeros(3, 'f4')


def _text(file, tmp_path):
    file['a/kernel:0'] = np.ones(3, 'f4')
    file.attrs['model_config'] = '{"class_name": '


def _list(file, tmp_path):
    file['a/kernel:0'] = np.ones(3, 'f4')
    file.attrs['model_config'] = json.dumps([1, 2])


def _deep(file, tmp_path):
    file['a/kernel:0'] = np.ones(3, 'f4')
    file.attrs['model_config'] = '{"config": ' + '[' * 3000 + ']' * 3000 + '}'


def _links(file, tmp_path):
    file['a/kernel:0'] = h5py.ExternalLink(str(tmp_path / 'other.h5'), 'x')


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (_elsewhere, 'in another file'),
        (_virtual, 'in another file'),
        (_larger, 'more than its file can hold'),
        (_objects, 'expected floating-point numbers'),
        (_twice, 'two different weights a.weight'),
        (_text, 'model_config'),
        (_list, 'model_config'),
        (_deep, 'model_config'),
        (_links, 'without kernels'),
    ],
)
def test_files_that_are_not_plain_weights(tmp_path, spoil, words):
    with h5py.File(tmp_path / 'in.h5', 'w') as file:
        spoil(file, tmp_path)
    with pytest.raises(CheckpointError, match=words) as error:
        read_keras(tmp_path / 'in.h5')
    assert 'in.h5' in str(error.value) and '\n' not in str(error.value)


def test_half_a_file_and_none(tmp_path):
    data = write(tmp_path / 'in.h5', made_weights(), config={}).read_bytes()
    (tmp_path / 'half.h5').write_bytes(data[: len(data) // 2])
    (tmp_path / 'text.h5').write_text('not found')
    for name, words in (('half', 'damaged'), ('text', 'no HDF5 file'), ('none', 'no such file')):
        with pytest.raises(CheckpointError, match=words):
            read_keras(tmp_path / f'{name}.h5')


def test_without_h5py_the_command_is_named(tmp_path, monkeypatch):
    source = write(tmp_path / 'in.h5', made_weights(), config={})
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(CheckpointError, match='pip install h5py'):
        read_keras(source)


def test_a_file_of_the_published_code_gives_its_field(tmp_path):
    """Written by voxelmorph 0.2 on TensorFlow with random weights, and the field that its ``register`` returned."""
    folder = Path(__file__).with_name('material')
    source = tmp_path / 'in.h5'
    source.write_bytes((folder / 'vxm_dense_2d.h5').read_bytes())
    model, described = converted(source)
    assert described['backbone']['half_res'] and described['flow_head']['int_downsize'] == 2
    with np.load(folder / 'vxm_dense_2d.npz') as told, torch.no_grad():
        given = {name: torch.from_numpy(told[name])[None, None] for name in ('fixed', 'moving')}
        ours = model(given).displacement[0].numpy()
        assert np.abs(ours - np.moveaxis(told['warp'], -1, 0)).max() < 1e-5
