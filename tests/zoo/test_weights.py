"""Weights by name: from an address on the loopback to registered files; and everything that goes wrong on the way."""

import hashlib
import io
import json
import os

import numpy as np
import pytest
import torch

from mmreg import init_model
from mmreg.cli import main
from mmreg.errors import CheckpointError, ConfigError
from mmreg.io import Geometry, Volume, read_volume, write_volume
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.zoo import download, published, store
from mmreg.zoo.entries import Entry, Needs
from mmreg.zoo.suitability import warnings_of_weights
from tests.converters.test_voxelmorph_lkunet import lku
from tests.golden.fill import image

from .server import serving

NEEDS = Needs('T1-weighted MR', True, 'LIA', 2.0, (16, 16, 16), ({'type': 'MinMax'},), 'centres')
OPTIONS = {'model.backbone.channels': 2}


@pytest.fixture(scope='module')
def published_file():
    """A checkpoint in SYMNet's published layout, of a tiny network with random weights."""
    register_all_modules()
    torch.manual_seed(0)
    made = store.config_of(_entry('', b''))
    model = REGISTRARS.build(made.model)
    theirs = {}
    names = {'stem.0': 'eninput', 'stem.1': 'ec1'}
    for k in range(4):
        names |= {f'down.{k}.0': f'ec{2 * k + 2}', f'down.{k}.1': f'ec{2 * k + 3}', f'up.{k}': f'up{k + 1}'}
        names |= {f'mix.{k}.0': f'dc{2 * k + 1}', f'mix.{k}.1': f'dc{2 * k + 2}'}
    for key, value in model.state_dict().items():
        part, _, last = key.rpartition('.')
        if part.startswith('backbone.'):
            theirs[f'{names[part.removeprefix("backbone.").removesuffix(".conv")]}.0.{last}'] = value
        else:
            theirs[f'{"dc10" if "backward" in part else "dc9"}.0.{last}'] = value
    buffer = io.BytesIO()
    torch.save(theirs, buffer)
    return buffer.getvalue()


def _entry(url: str, content: bytes, **changes) -> Entry:
    class Here(Entry):
        url = property(lambda self: self.path)

    values = dict(
        name='tiny', method='SYMNet', family='symnet', config='symnet_oasis', trained_on='noise', needs=NEEDS,
        parameters=1, licence='MIT', repository='a/b', path=url, commit='c', size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), options=OPTIONS,
    )  # fmt: skip
    return Here(**values | changes)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / 'weights'))
    return tmp_path / 'weights'


@pytest.fixture
def known(monkeypatch):
    """Makes an entry one of the zoo."""
    return lambda entry: monkeypatch.setattr(published, 'PUBLISHED', (*published.PUBLISHED, entry))


def _scans(folder):
    fixed, moving = (
        Geometry((20, 22, 18), np.diag([2.0, 2.0, 2.0, 1])),
        Geometry((24, 20, 20), np.diag([1.5, 2.5, 2.0, 1])),
    )
    for name, grid, seed in (('fixed', fixed, 1), ('moving', moving, 2)):
        write_volume(folder / f'{name}.nii.gz', Volume(image(seed, grid.shape).astype(np.float32) * 900, grid))
    return [str(folder / 'fixed.nii.gz'), str(folder / 'moving.nii.gz')]


def test_from_name_to_registered_files(published_file, home, known, tmp_path, capsys):
    with serving(published_file) as (url, state):
        known(_entry(url, published_file))
        assert (
            main(
                ['register', *_scans(tmp_path), '-o', str(tmp_path / 'out'), '--weights', 'tiny', '--affine', 'centres']
            )
            == 0
        )
        assert len(state.ranges) == 1
        assert main(['weights', 'get', 'tiny']) == 0 and len(state.ranges) == 1  # nothing is transferred twice
    plan = json.loads((tmp_path / 'out/plan.json').read_text(encoding='utf-8'))
    assert plan['preparation']['orientation'] == 'LIA' and plan['preparation']['spacing'] == 2.0
    assert read_volume(tmp_path / 'out/warped.nii.gz').geometry.shape == (20, 22, 18)
    told = json.loads((home / 'tiny/plan.json').read_text(encoding='utf-8'))
    assert told['sha256'] == hashlib.sha256(published_file).hexdigest() and told['options'] == OPTIONS
    model = init_model('tiny')
    assert model.backbone.first == 'fixed' and model.checkpoint == home / 'tiny/tiny.pth'
    inferred = ['infer', '--weights', 'tiny', '--fixed', str(tmp_path / 'fixed.nii.gz'), '--moving']
    assert main([*inferred, str(tmp_path / 'moving.nii.gz'), '--out', str(tmp_path / 'again')]) == 0
    first, second = (read_volume(tmp_path / name / 'warped.nii.gz').array for name in ('out', 'again'))
    assert np.array_equal(first, second)
    capsys.readouterr()
    assert main(['weights', 'path', 'tiny']) == 0 and capsys.readouterr().out.strip() == str(home / 'tiny/tiny.pth')


def test_a_broken_transfer_goes_on_where_it_stopped(published_file, home, known):
    with serving(published_file) as (url, state):
        known(_entry(url, published_file))
        state.stop_after = 2 * 65536 + 100
        with pytest.raises(CheckpointError, match='131072 bytes are kept'):
            store.get('tiny')
        assert not [p for p in (home / 'tiny').iterdir() if p.suffix != '.part']
        state.stop_after = None
        assert store.get('tiny').is_file()
        assert state.ranges == [None, 'bytes=131072-']
    assert not list(home.rglob('*.part'))


def test_another_file_is_not_kept(published_file, home, known):
    with serving(published_file[:-1] + b'x') as (url, _):
        known(_entry(url, published_file))
        with pytest.raises(CheckpointError, match='another file than expected'):
            store.get('tiny')
    assert not [p for p in home.rglob('*') if p.is_file()]


def test_without_network_the_sentence_says_what_to_do(published_file, home, known, tmp_path, capsys):
    with serving(published_file) as (url, _):
        entry = _entry(url, published_file)
    known(entry)  # the server is gone
    assert main(['weights', 'get', 'tiny']) == 2
    error = capsys.readouterr().err
    assert url in error and entry.sha256 in error and 'mmreg weights add tiny FILE' in error and error.count('\n') == 1
    (tmp_path / 'mine.pth').write_bytes(published_file)
    assert main(['weights', 'add', 'tiny', str(tmp_path / 'mine.pth')]) == 0
    assert main(['weights', 'get', 'tiny']) == 0


def test_an_address_that_is_gone(published_file, home, known):
    with serving(published_file) as (url, _):
        known(_entry(url.replace('weights', 'nothing'), published_file))
        with pytest.raises(CheckpointError, match='answers 404'):
            store.get('tiny')


def test_a_full_disk(published_file, home, known, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    with serving(published_file) as (url, _):
        known(_entry(url, published_file))
        monkeypatch.setattr(download.os, 'replace', full)
        with pytest.raises(CheckpointError, match='No space left on device'):
            store.get('tiny')


@pytest.mark.skipif(os.getuid() == 0, reason='root writes everywhere')
def test_a_folder_that_cannot_be_written(published_file, home, known, tmp_path):
    home.mkdir()
    home.chmod(0o500)
    known(_entry('http://127.0.0.1:9/weights.pth', published_file))
    (tmp_path / 'mine.pth').write_bytes(published_file)
    with pytest.raises(CheckpointError, match='MMREG_WEIGHTS'):
        store.add('tiny', tmp_path / 'mine.pth')


def test_the_folder_is_a_file(published_file, known, tmp_path, monkeypatch):
    (tmp_path / 'mine.pth').write_bytes(published_file)
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / 'mine.pth'))
    known(_entry('http://127.0.0.1:9/weights.pth', published_file))
    with pytest.raises(CheckpointError, match='MMREG_WEIGHTS'):
        store.add('tiny', tmp_path / 'mine.pth')


def test_by_hand_the_wrong_file_or_none(published_file, home, known, tmp_path):
    known(_entry('http://127.0.0.1:9/weights.pth', published_file))
    (tmp_path / 'other.pth').write_bytes(b'else')
    with pytest.raises(CheckpointError, match='is not the file of tiny'):
        store.add('tiny', tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='there is no such file'):
        store.add('tiny', tmp_path / 'nothing.pth')
    with pytest.raises(ConfigError, match="no weights 'symnet'; did you mean symnet_oasis"):
        store.get('symnet')


@pytest.mark.parametrize(
    'argv, text',
    [
        (['--weights', 'symnet_oasis', '--checkpoint', 'x.pth'], 'expected one of them'),
        (['--weights', 'symmnet'], 'did you mean symnet_oasis'),
    ],
)
def test_options_that_contradict(argv, text, tmp_path, capsys, home):
    assert main(['register', *_scans(tmp_path), '-o', str(tmp_path / 'out'), *argv]) == 2
    assert text in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_entries_fit_their_configs():
    register_all_modules()
    names = [entry.name for entry in published.PUBLISHED]
    assert len(set(names)) == len(names)
    for entry in published.PUBLISHED:
        with torch.device('meta'):
            model = REGISTRARS.build(store.config_of(entry).model)
        assert sum(p.numel() for p in model.parameters()) == entry.parameters, entry.name
        assert entry.licence and entry.page.startswith('https://')
        if entry.url:
            assert len(entry.sha256) == 64 and entry.url.startswith('https://') and entry.checked
        else:
            assert not entry.sha256 and not entry.checked, 'nothing is said to be checked that was not had'
        assert len(entry.needs.size) == model.ndim


def test_list_and_show(capsys):
    assert main(['weights']) == 0
    shown = capsys.readouterr().out
    assert all(entry.name in shown for entry in published.PUBLISHED)
    assert main(['weights', 'list', '--json']) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row['name'] for row in rows} == set(published.known()) and all(
        row['url'] or not row['checked'] for row in rows
    )
    assert main(['weights', 'show', 'lapirn_diff_oasis']) == 0
    shown = capsys.readouterr().out
    for text in ('skull-stripped', 'LIA', 'MinMax', '923,748', 'MIT', '1f37ca27'):
        assert text in shown


def test_weights_whose_address_is_not_known(home, known, tmp_path, capsys):
    """The user is told where to get them, gives the file, and it is used; another family's file is refused."""
    content = io.BytesIO()
    torch.save(lku(ndim=3, kernel=5), content)
    known(Entry('by_hand', 'LKU-Net', 'lkunet', 'lkunet_ixi', 'noise', NEEDS, 1, 'MIT', 'a/b', options=OPTIONS))
    with pytest.raises(
        CheckpointError, match=r'get their file from https://github.com/a/b and run `mmreg weights add by_'
    ):
        store.get('by_hand')
    (tmp_path / 'wrong.pth').write_bytes(b'nothing')
    assert main(['weights', 'add', 'by_hand', str(tmp_path / 'wrong.pth')]) == 2
    (tmp_path / 'theirs.pth').write_bytes(content.getvalue())
    assert main(['weights', 'add', 'by_hand', str(tmp_path / 'theirs.pth')]) == 0
    assert store.ready('by_hand').checkpoint.is_file()
    init_model('by_hand', device='cpu')
    assert main(['weights', 'show', 'by_hand']) == 0 and 'given by hand' in capsys.readouterr().out


def test_a_head_is_not_a_brain():
    array = np.zeros((40, 40, 40), np.float32)
    array[2:38, 2:38, 2:38] = 1
    head = Volume(array, Geometry(array.shape, np.diag([4.0, 4.0, 4.0, 1])))
    (warning,) = warnings_of_weights('symnet_oasis', [('head.nii.gz', head)])
    assert 'head.nii.gz shows 3.0 litres' in warning and 'skull' in warning
    brain = Volume(array, Geometry(array.shape, np.diag([3.0, 3.0, 3.0, 1])))
    assert not warnings_of_weights('symnet_oasis', [('brain.nii.gz', brain)])
    assert not warnings_of_weights('something of a stranger', [('head.nii.gz', head)])


def test_a_config_of_the_same_name_is_meant_until_the_weights_are_there(monkeypatch, tmp_path):
    """`eoir_lumir` is a config, and the name of weights that nobody can download."""
    monkeypatch.setenv(store.VARIABLE, str(tmp_path))
    shared = [name for name, entry in published.known().items() if (store.config_folder() / f'{name}.py').is_file()]
    assert 'eoir_lumir' in shared
    for name in shared:
        entry = published.known()[name]
        assert store.means_weights(name) == bool(entry.url and entry.sha256), name
    assert init_model('eoir_lumir').checkpoint is None
    entry = published.known()['eoir_lumir']
    (tmp_path / entry.name).mkdir()
    (tmp_path / entry.name / entry.file_name).write_bytes(b'given by hand')
    assert store.means_weights('eoir_lumir')
