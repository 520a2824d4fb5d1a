"""Hostile files at the other doors: engine keys of configs, weights by every command, data sets, archives, names."""

import copy
import json
import os
import pickle
import resource
import shutil
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from mmreg.utils.config import load_config
from tests.trust.material import Marker

PAIR = ('fixed.nii.gz', 'moving.nii.gz')
IMAGES = ('--fixed', 'fixed.nii.gz', '--moving', 'moving.nii.gz', '--device', 'cpu', '--outputs', 'warped')
SOME = ('--outputs', 'metrics', 'overview')
FAST = ('--preset', 'fast.py', '--affine', 'none', '--device', 'cpu')


@pytest.fixture
def mark(work, monkeypatch):
    """A file that must not appear; a module on the path makes it when it is imported, a program when it is run."""
    path = work / 'PWNED'
    for name in ('evilmod', 'evilpart'):
        (work / f'{name}.py').write_text(f'open({str(path)!r}, "w")\nclass Part: pass\n')
    monkeypatch.syspath_prepend(str(work))
    yield path
    imported = [name for name in ('evilmod', 'evilpart', 'antigravity') if sys.modules.pop(name, None)]
    assert not imported and not path.exists()


# Keys of a run that the engine resolves by itself -----------------------------------------------------------------

ENGINE = {
    'runner': {'runner_type': 'evilmod'},
    'constructor': {'optim_wrapper': {'constructor': 'evilmod'}},
    'wrapper': {'optim_wrapper': {'type': 'evilmod'}},
    'optimizer': {'optim_wrapper': {'optimizer': {'type': 'evilmod', 'lr': 1e-3}}},
    'average': {'custom_hooks': [{'type': 'EMAHook', 'ema_type': 'evilmod'}]},
    'sampler': {'train_dataloader': {'sampler': {'type': 'evilmod'}}},
    'batch sampler': {'train_dataloader': {'batch_sampler': {'type': 'evilmod'}}},
    'collate': {'train_dataloader': {'collate_fn': {'type': 'evilmod'}}},
    'collate by name': {'train_dataloader': {'collate_fn': 'evilmod'}},
    'workers': {'train_dataloader': {'worker_init_fn': {'type': 'evilmod'}}},
    'dataset': {'train_dataloader': {'dataset': {'type': 'evilmod'}}},
    'pipeline': {'train_dataloader': {'dataset': {'pipeline': [{'type': 'evilmod'}]}}},
    'loop': {'train_cfg': {'type': 'evilmod'}},
    'hook': {'default_hooks': {'logger': {'type': 'evilmod'}}},
    'metric': {'val_evaluator': [{'type': 'evilmod'}]},
    'visualizer': {'visualizer': {'type': 'RegVisualizer', 'vis_backends': [{'type': 'evilmod'}]}},
    'log': {'log_processor': {'type': 'evilmod'}},
    'scheduler': {'param_scheduler': [{'type': 'evilmod'}]},
    'wrapped model': {'model_wrapper_cfg': {'type': 'evilmod'}},
    'strategy': {'strategy': {'type': 'evilmod'}},
    'preprocessor': {'model': {'data_preprocessor': {'type': 'evilmod'}}},
    'initialisation': {'model': {'init_cfg': {'type': 'evilmod'}}},
    'scope below': {'model': {'backbone': {'_scope_': 'evilmod'}}},
    'a list': {'model': {'type': ['evilmod', 'os.system']}},
    'a keyed name': {'model': {'type': {'type': 'evilmod'}}},
    'blank': {'model': {'type': ' evilmod'}},
    'own prefix': {'model': {'type': 'mmreg.evilmod'}},
    'engine prefix': {'model': {'type': 'mmengine.evilmod'}},
    'wide dot': {'model': {'type': 'os\uff0esystem'}},
    'loss': {'model': {'losses': {'similarity': {'type': 'evilmod'}}}},
    'environment': {'env_cfg': {'mp_cfg': {'mp_start_method': 'evilmod'}}},
    'imports': {'custom_imports': {'imports': 'evilmod', 'allow_failed_imports': True}},
    'bundle': {'inference': {'intensity': [{'type': 'MonaiBundleSegmenter', 'bundle': '.'}]}},
}  # fmt: skip


def merged(content, change):
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict) and '_delete_' not in value:
            merged(content[key], value)
        else:
            content[key] = value
    return content


@pytest.fixture(scope='module')
def plain(base):
    """The config of a training as plain values."""
    return load_config(base / 'train0.py').to_dict()


@pytest.mark.parametrize(
    ('name', 'ending'), [*((name, 'json') for name in ENGINE), *((name, 'yaml') for name in ('runner', 'average'))]
)
def test_keys_of_a_training(name, ending, plain, mark, refused):
    import yaml

    content = merged(copy.deepcopy(plain), ENGINE[name])
    Path(f'evil.{ending}').write_text(json.dumps(content) if ending == 'json' else yaml.safe_dump(content))
    refused('train', f'evil.{ending}', '--work-dir', 'wd')


@pytest.mark.parametrize('where', ['load_from', 'init_cfg'])
def test_weights_that_a_config_names(where, plain, mark, refused):
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'meta': Marker(mark)}, 'evil.pth')
    with open('plain.pth', 'wb') as file:
        pickle.dump({'state_dict': Marker(mark)}, file)
    for path in ('evil.pth', 'plain.pth'):
        change = {'load_from': path} if where == 'load_from' else {
            'model': {'init_cfg': {'type': 'Pretrained', 'checkpoint': path}}
        }  # fmt: skip
        Path('evil.json').write_text(json.dumps(merged(copy.deepcopy(plain), change)))
        refused('train', 'evil.json', '--work-dir', 'wd')


@pytest.mark.parametrize(
    'text',
    [
        'model: !!python/name:os.system\n', 'model: !!python/module:evilmod\n', '!!python/object:evilmod.Part {}\n',
        'a: &a [1, 2]\nmodel: !!python/object/new:os.system [x]\n', 'model: {? !!python/name:os.system : 1}\n',
        'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n'
        'd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n'
        'g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nmodel: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n',
        'model: &m {a: *m}\n', 'model: ' + '[' * 3000 + ']' * 3000, 'a: 1\na: 2\n? [1, 2]\n: 3\n', '\x00',
        '%YAML 9.9\n',
    ],
)  # fmt: skip
def test_yaml_of_every_kind(text, mark, refused):
    Path('evil.yaml').write_text(text)
    refused('register', *PAIR, '-o', 'out', '--preset', 'evil.yaml')


@pytest.mark.parametrize(
    'text', ['{"model": ' + '9' * 6000 + '}', '{"model": 1e999}', '[' * 100000, '{"a": NaN', '"x"']
)
def test_json_of_every_kind(text, mark, refused):
    Path('evil.json').write_text(text)
    refused('register', *PAIR, '-o', 'out', '--preset', 'evil.json')


# Weights, by every command that reads them ---------------------------------------------------------------------------


def script_archive(path, mark):
    """A TorchScript archive: a program by design."""

    class Net(torch.nn.Module):
        def forward(self, x):
            return x + 1

    torch.jit.script(Net()).save(str(path))


class Chained:
    """Unpickles to a call of one allowed thing with the result of another."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return eval, (f'open({str(self.path)!r}, "w")',)


def weights_of_kind(kind, path, mark):
    good = torch.load('net.pth', weights_only=True)
    if kind == 'meta':
        torch.save({**good, 'meta': {'a': [Marker(mark)]}}, path)
    elif kind == 'among the weights':
        torch.save({'state_dict': {**good['state_dict'], 'x': Chained(mark)}}, path)
    elif kind == 'a bare object':
        torch.save(Marker(mark), path)
    elif kind == 'plain pickle':
        path.write_bytes(pickle.dumps({'state_dict': Marker(mark)}))
    elif kind == 'old format':
        torch.save({**good, 'meta': Marker(mark)}, path, _use_new_zipfile_serialization=False)
    elif kind == 'a program':
        script_archive(path, mark)
    elif kind == 'persistent name':
        stream = b'\x80\x02(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.'
        with zipfile.ZipFile(path, 'w') as archive:
            for name, content in (('x/data.pkl', stream), ('x/version', b'3'), ('x/byteorder', b'little')):
                archive.writestr(name, content)
    else:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('x/data.pkl', pickle.dumps({'state_dict': Marker(mark)}, protocol=2))
            archive.writestr('x/version', b'3')
    return path


KINDS = (
    'meta',
    'among the weights',
    'a bare object',
    'plain pickle',
    'old format',
    'a program',
    'persistent name',
    'zip',
)
COMMANDS = {
    'infer': ('infer', 'net.py', '-c', '{evil}', *IMAGES, '--out', 'out'),
    'test': ('test', 'train0.py', '{evil}', '--work-dir', 'wd'),
    'resume': ('train', 'train0.py', '--work-dir', 'wd', '--resume', '{evil}'),
    'load': ('train', 'train0.py', '--work-dir', 'wd', '--cfg-options', 'load_from={evil}'),
    'register': ('register', *PAIR, '-o', 'out', '--model', 'net.py', '-c', '{evil}'),
    'publish': ('publish-model', '{evil}', 'small'),
    'convert': ('convert', 'auto', '{evil}', 'ours.pth'),
    'add': ('weights', 'add', 'lkunet_ixi_n4', '{evil}'),
    'reparameterise': ('reparameterise', 'net.py', '{evil}', 'ours.pth'),
}


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('command', COMMANDS)
def test_weights_by_every_command(command, kind, mark, refused, monkeypatch):
    monkeypatch.setenv('MMREG_WEIGHTS', str(mark.parent / 'store'))
    for ending in ('pth', 'tar', 'safetensors', 'h5') if (kind, command) == ('meta', 'infer') else ('pth',):
        evil = weights_of_kind(kind, mark.parent / f'evil.{ending}', mark)
        refused(*[word.format(evil=evil) for word in COMMANDS[command]])
    assert not Path('ours.pth').exists() and not list(Path().glob('small*'))


def test_every_family_of_published_weights(mark, refused):
    from mmreg.converters import FAMILIES

    evil = weights_of_kind('meta', mark.parent / 'evil.pth', mark)
    for name in FAMILIES:
        refused('convert', name, evil, 'ours.pth')


@pytest.mark.parametrize(
    'meta',
    [
        {'weights': 5}, {'weights': ['symnet_oasis']}, {'weights': {'name': 'x'}}, {'seed': 'x\x1b[31m'},
        {'versions': [1, {'a': 2}]}, {'epoch': -1, 'iter': 'x'}, {'plan': {'spacing': 'x' * 10}},
        {'plan': {'spacing': [1e308] * 2}}, {'plan': {'inference': {'orientation': 5}}},
        {'plan': {'preprocess': [[]]}}, {'plan': {'pair': [{'type': 'evilmod'}]}},
    ],
)  # fmt: skip
def test_what_weights_say_of_themselves(meta, mark, mmreg_command):
    content = torch.load('net.pth', weights_only=True)
    torch.save({**content, 'meta': meta}, 'evil.pth')
    code, text = mmreg_command('infer', 'net.py', '-c', 'evil.pth', *IMAGES, '--out', 'out')
    assert code in (0, 2) and 'Traceback' not in text and '\x1b' not in text


def test_the_latest_checkpoint_of_a_folder(mark, mmreg_command):
    """``--resume`` without a name follows what stands in ``last_checkpoint``."""
    Path('wd').mkdir()
    weights_of_kind('meta', mark.parent / 'elsewhere.pth', mark)
    weights_of_kind('plain pickle', mark.parent / 'wd/iter_2.pth', mark)
    Path('wd/last_checkpoint').write_text(str(mark.parent / 'elsewhere.pth'))
    code, text = mmreg_command('train', 'train0.py', '--work-dir', 'wd', '--resume')
    assert 'Traceback' not in text and code in (0, 2)


# Data sets -----------------------------------------------------------------------------------------------------------


def test_a_cache_on_disk_is_data(plain, mark, mmreg_command):
    """Files that lie in the folder of the cache under the names that will be asked for."""
    from mmreg.datasets.cache import build_volumes
    from mmreg.datasets.loader import Loader

    class Load(Loader):
        fingerprint = 'x'

        def __init__(self):
            pass

        def __call__(self, source):
            return {'image': np.zeros((1, 4, 4), np.float32)}

    volumes = build_volumes([{'image': 'fixed.nii.gz'}], Load(), {'type': 'disk', 'folder': 'cache'})
    assert volumes[0]['image'].shape == (1, 4, 4)
    (file,) = Path('cache').glob('*.pt')
    for content in (pickle.dumps({'image': Marker(mark)}, protocol=2), None):
        if content is None:
            torch.save({'image': Marker(mark)}, file)
        else:
            file.write_bytes(content)
        volumes = build_volumes([{'image': 'fixed.nii.gz'}], Load(), {'type': 'disk', 'folder': 'cache'})
        assert volumes[0]['image'].shape == (1, 4, 4)


def test_embeddings_and_label_sets(mark):
    from mmreg.errors import InputError
    from mmreg.text.label_set import get_label_set
    from mmreg.text.table import TextTable

    np.savez('evil.npz', embeddings=np.array([Marker(mark)], dtype=object), names=np.array(['a']))
    Path('evil.pkl').write_bytes(pickle.dumps(Marker(mark)))
    Path('evil.safetensors').write_bytes((20).to_bytes(8, 'little') + b'{"__metadata__": {}}' + b'\0' * 8)
    for name in ('evil.npz', 'evil.pkl', 'evil.safetensors'):
        with pytest.raises(InputError):
            TextTable.load(Path(name))
    for text in ('1: !!python/object/apply:os.system ["touch PWNED"]\n', '1: {a: !!python/name:os.system }\n', '- [[['):
        Path('labels.yaml').write_text(text)
        with pytest.raises(InputError):
            get_label_set('labels.yaml')
    for source in ('os.system', 'evilmod', 'evilmod.Part'):
        with pytest.raises(InputError):
            get_label_set(source)


@pytest.mark.parametrize('name', ['MMs', 'MMs2', 'ACDC'])
@pytest.mark.parametrize(
    'content', [b'\xff\xfe\xfa', b'External code,ED,ES\nA,x,y\n', b'SUBJECT_CODE,VENDOR\nx,y\n', b'"' * 9]
)
def test_folders_of_data_sets(name, content, mark, refused):
    folder = Path('shipped/patient001')
    folder.mkdir(parents=True)
    (folder.parent / 'table.csv').write_bytes(content)
    (folder / 'Info.cfg').write_bytes(content + b'ED: 99999999999999\nES: __import__("os")\n')
    for file in ('A_sa.nii.gz', 'A_sa_gt.nii.gz', 'x_SA_ED.nii.gz'):
        shutil.copy('fixed.nii.gz', folder.parent / file)
    refused('data', 'prepare', name, 'shipped', 'made')


# Headers that name other files, programs, or more than there is ------------------------------------------------------


@pytest.mark.parametrize(
    'place',
    ['/dev/zero', '|touch PWNED', '../../../../etc/hosts', 'LIST\n/dev/zero', 'fifo', '%d.raw 1 9 1'],
)
@pytest.mark.parametrize('form', ['mhd', 'nhdr'])
def test_voxels_elsewhere(form, place, mark, refused):
    os.mkfifo('fifo')
    if form == 'mhd':
        text = (
            'ObjectType = Image\nNDims = 2\nDimSize = 140 130\nElementType = MET_FLOAT\nElementSpacing = 1 1\n'
            f'ElementDataFile = {place}\n'
        )
    else:
        text = 'NRRD0005\ntype: float\ndimension: 2\nsizes: 140 130\nencoding: raw\nendian: little\n'
        text += f'data file: {place}\n\n'
    Path(f'evil.{form}').write_text(text)
    refused('register', f'evil.{form}', 'moving.nii.gz', '-o', 'out', *FAST)


def test_a_deflated_dicom_is_no_bomb(mark, refused):
    """A header of some kilobytes that unpacks to half a gigabyte."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b'\x08\x00\x05\x00CS\x0a\x00ISO_IR 100' + b'\x09\x00\x10\x00OB\x00\x00' + (1 << 29).to_bytes(4, 'little')
    packed = pack.compress(body) + b''.join(pack.compress(bytes(1 << 24)) for _ in range(32)) + pack.flush()
    uid = b'1.2.840.10008.1.2.1.99'
    meta = b'\x02\x00\x10\x00UI' + len(uid).to_bytes(2, 'little') + uid
    length = b'\x02\x00\x00\x00UL\x04\x00' + len(meta).to_bytes(4, 'little')
    Path('evil.dcm').write_bytes(bytes(128) + b'DICM' + length + meta + packed)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 'unpack to more' in refused('register', 'evil.dcm', 'moving.nii.gz', '-o', 'out', *FAST)
    folder = mark.parent / 'study'
    folder.mkdir()
    Path('evil.dcm').rename(folder / 'evil.dcm')
    assert 'unpack to more' in refused('register', 'study', 'moving.nii.gz', '-o', 'out', *FAST)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_an_honest_deflated_dicom_is_read(work):
    from mmreg.io import read_volume

    pydicom = pytest.importorskip('pydicom')
    writer = sitk.ImageFileWriter()
    writer.SetFileName('plain.dcm')
    writer.Execute(sitk.Cast(sitk.ReadImage('fixed.nii.gz'), sitk.sitkInt16))
    header = pydicom.dcmread('plain.dcm')
    header.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    (work / 'one').mkdir()
    header.save_as('one/deflated.dcm')
    assert read_volume('one/deflated.dcm').array.std() > 10


@pytest.mark.parametrize('kind', ['link', 'above', 'absolute', 'locked', 'twice', 'device'])
def test_archives_of_a_challenge(kind, mark, mmreg_command):
    with zipfile.ZipFile('sub.zip') as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile('evil.zip', 'w') as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo({'above': '../', 'absolute': str(mark.parent) + '/ABS_'}.get(kind, '') + name)
            if kind in ('link', 'device'):
                info.create_system, info.external_attr = 3, (0o120777 if kind == 'link' else 0o060666) << 16
                content = b'/etc/passwd'
            if kind == 'locked':
                info.flag_bits |= 1
            archive.writestr(info, content)
            if kind == 'twice':
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    archive.writestr(name, b'x')
    before = set(mark.parent.parent.rglob('*'))
    code, text = mmreg_command('evaluate', 'evil.zip', '.')
    assert 'Traceback' not in text, text
    made = {p.name for p in set(mark.parent.parent.rglob('*')) - before}
    assert not any(name.startswith(('ABS_', 'disp_')) for name in made)


# Names ---------------------------------------------------------------------------------------------------------------

NAMES = [
    'a;touch PWNED;', '$(touch PWNED)', '`touch PWNED`', '-o', '--preset', '{0.__class__}', '%s%n', '$\\frac{1}{',
    'a$_$b^',
    '{{7*7}}', '<script>', "a'b\"c", '${jndi:x}', '\u202egpj.exe', '__import__("os")',
]  # fmt: skip


@pytest.mark.parametrize('name', NAMES)
def test_names_of_files(name, mark, mmreg_command):
    shutil.copy('fixed.nii.gz', f'./{name}.nii.gz')
    (mark.parent / 'list.csv').write_text(
        f'fixed,moving,case_id\n"./{name.replace(chr(34), chr(34) * 2)}.nii.gz",moving.nii.gz,\n', encoding='utf-8'
    )
    code, text = mmreg_command('register', '--pairs', 'list.csv', '-o', 'out', *FAST, *SOME)
    assert code in (0, 2) and 'Traceback' not in text, text
    if not name.startswith('-'):
        assert code == 0 or 'case_id' in text or 'name' in text, text


@pytest.mark.parametrize('name', ['$\\frac{', 'a$_$b^', '{0}', '%d'])
def test_names_of_curves(name, mark, mmreg_command):
    rows = [{'iter': k, name: k * 0.5, 'loss': 1.0, 'time': 0.1} for k in range(3)]
    Path('scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    command = ['analyze-logs', 'plot_curve', 'scalars.json', '--keys', name, '--title', name, '--out', 'curve.png']
    code, text = mmreg_command(*command)
    assert code == 0, text


@pytest.mark.parametrize(
    'line',
    ['{"iter": 1, "loss": "x", "time": {}}', '{"iter": "a", "loss": 1, "time": 1}\n{"iter": 2, "loss": 1, "time": 1}',
     '{"iter": [1], "loss": 1, "time": 1}', '{"iter": 1, "loss": [1, 2], "time": [1]}',
     '{"iter": 1, "loss": 1e999, "time": null}',
     '9' * 6000, '[' * 100000, '{"iter": {}, "loss": 1, "time": 1}'],
)  # fmt: skip
def test_logs_of_a_training(line, mark, mmreg_command):
    Path('scalars.json').write_text(line)
    for command in (
        ['plot_curve', 'scalars.json', '--keys', 'loss', '--out', 'c.png'],
        ['cal_train_time', 'scalars.json'],
    ):
        code, text = mmreg_command('analyze-logs', *command)
        assert code in (0, 2) and 'Traceback' not in text and len(text.splitlines()) <= 1, text
