"""Published files as they lie about: nested, wrapped, and things that are no checkpoints at all."""

import gzip
import io
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from mmreg.commands.convert import main
from mmreg.converters.containers import extract_weights, unwrapped
from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError
from mmreg.utils.checkpoint import read_checkpoint
from tests.converters.test_lapirn_symnet import lapirn, symnet
from tests.converters.test_voxelmorph_lkunet import lku, vxm

ADAM = {'state': {0: {'exp_avg': torch.ones(2)}}, 'param_groups': []}
CONTAINERS = {
    'bare': lambda state: state,
    'state_dict': lambda state: {'state_dict': state, 'epoch': 3},
    'network': lambda state: {'network': state, 'optimizer': ADAM},
    'weights': lambda state: {'weights': state},
    'params': lambda state: {'params': state},
    'generator': lambda state: {'generator': state, 'discriminator': {f'd{k}': torch.ones(1) for k in range(200)}},
    'two deep': lambda state: {'model': {'net': state}, 'optimizer': ADAM},
    'three deep': lambda state: {'checkpoint': {'ema': {'state_dict': state}}},
    'a name nobody thought of': lambda state: {'registration': state, 'optim_g': ADAM, 'step': torch.tensor(3)},
}
WRAPPERS = ('module.', '_orig_mod.', 'net.', 'model.', 'regis_net.', 'module._orig_mod.', 'a.b.c.')


@pytest.mark.parametrize('container', CONTAINERS)
def test_weights_are_found_in_any_container(tmp_path, container):
    torch.save(CONTAINERS[container](symnet()), tmp_path / 'in.pth')
    model, unused = convert_file('auto', tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert model['backbone']['type'] == 'SYMNet' and unused == []


@pytest.mark.parametrize('wrapper', WRAPPERS)
@pytest.mark.parametrize('made', [symnet, lapirn, vxm, lku], ids=['symnet', 'lapirn', 'vxm', 'lku'])
def test_what_wrappers_put_before_every_key(tmp_path, made, wrapper):
    family = {'symnet': 'symnet', 'lapirn': 'lapirn_disp', 'vxm': 'voxelmorph', 'lku': 'lkunet'}[made.__name__]
    for name, state in (('plain', made()), ('wrapped', {f'{wrapper}{key}': v for key, v in made().items()})):
        torch.save(state, tmp_path / f'{name}.pth')
        convert_file(family, tmp_path / f'{name}.pth', tmp_path / f'{name}_ours.pth')
    plain, wrapped = (torch.load(tmp_path / f'{name}_ours.pth', weights_only=True) for name in ('plain', 'wrapped'))
    assert plain['state_dict'].keys() == wrapped['state_dict'].keys()
    assert plain['meta']['model'] == wrapped['meta']['model']


def test_compiled_parts_inside_a_key():
    (state,) = list(unwrapped({'net._orig_mod.a.w': torch.ones(1), 'other.b': torch.ones(1)}))[:1]
    assert set(state) == {'net.a.w', 'other.b'}


def test_no_tensors_are_named_by_what_is_there():
    with pytest.raises(CheckpointError, match=r'x\.pth holds no tensors \(epoch \(int\), name \(str\)\)'):
        extract_weights({'epoch': 3, 'name': 'a'}, 'x.pth')


def _torchscript(path):
    torch.jit.script(nn.Linear(2, 2)).save(str(path))


def _zip_around(path):
    buffer = io.BytesIO()
    torch.save({'w': torch.ones(2)}, buffer)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('Model/weights.pth', buffer.getvalue())


def _npz(path):
    with open(path, 'wb') as file:
        np.savez(file, w=np.ones(3))


def _keras(path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('config.json', '{}')
        archive.writestr('model.weights.h5', b'\x89HDF\r\n\x1a\n')


KINDS = {
    'TorchScript': _torchscript,
    r'NumPy archive \(\.npz\)': _npz,
    r'zip around Model/weights\.pth': _zip_around,
    'Keras': _keras,
    r'NumPy array \(\.npy\)': lambda path: path.write_bytes(b'\x93NUMPY\x01\x00' + bytes(64)),
    'web page': lambda path: path.write_text('\n  <!DOCTYPE html>\n<html><body>Sign in</body></html>'),
    'Git LFS': lambda path: path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'),
    'HDF5': lambda path: path.write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(64)),
    'gzip': lambda path: path.write_bytes(gzip.compress(b'x' * 99)),
    'JSON': lambda path: path.write_text('{"message": "Not Found"}'),
    r'safetensors file, whose name has to end in \.safetensors': lambda path: path.write_bytes(
        (8).to_bytes(8, 'little') + b'{"a":{}}'
    ),
}


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_no_checkpoint_is_called_what_it_is(tmp_path, kind):
    path = tmp_path / 'file.pth'
    KINDS[kind](path)
    with pytest.raises(CheckpointError, match=kind) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_an_unpacked_checkpoint_and_a_folder_with_one(tmp_path):
    torch.save({'w': torch.ones(2)}, tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth') as archive:
        archive.extractall(tmp_path / 'unpacked')
    for folder in (tmp_path / 'unpacked', *(tmp_path / 'unpacked').iterdir()):
        with pytest.raises(CheckpointError, match='unpacked'):
            read_checkpoint(folder)
    with pytest.raises(CheckpointError, match=r'folder with a\.pth'):
        read_checkpoint(tmp_path)
    assert main(['auto', str(tmp_path), str(tmp_path / 'out.pth')]) == 2
