"""`mmreg data`: every data set's folder is described, checked and, where its site ships another one, made."""

from pathlib import Path

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.datasets.catalogue import SOURCES
from mmreg.io import read_labels, read_volume
from tests import configs
from tests.made.layouts import LAYOUTS, acdc_distributed, make, mms2_distributed, mms_distributed

DOCS = (Path(__file__).parents[2] / 'docs' / 'datasets.md').read_text(encoding='utf-8')


def test_every_folder_that_a_config_reads_is_described():
    read = set()
    for path in configs.ALL:
        cfg = configs.look(path)
        for stage in ('train', 'val', 'test'):
            node = (cfg.get(f'{stage}_dataloader') or {}).get('dataset') or {}
            read |= {Path(node['data_root']).name} if node.get('data_root') else set()
    assert read == {source.name for source in SOURCES} == set(LAYOUTS)


@pytest.mark.parametrize('source', SOURCES, ids=lambda s: s.name)
def test_the_page_has_link_and_tree(source):
    assert source.tree.strip() in DOCS
    assert all(link in DOCS for link in source.links)


#: Data sets that many configs read take their time.
MANY = ('LUMIR', 'OASIS', 'IXI', 'AbdomenCTCT', 'ACDC', 'SpineCTMR')


@pytest.mark.parametrize('name', [pytest.param(n, marks=[pytest.mark.slow] * (n in MANY)) for n in LAYOUTS])
def test_a_whole_folder_passes(name, tmp_path, capsys):
    make(tmp_path, name)
    assert main(['data', 'check', name, str(tmp_path / name), '--debug']) == 0
    out = capsys.readouterr().out
    assert 'can run: ' in out and 'cannot run' not in out and 'the network sees' in out


def test_a_damaged_folder_is_told(tmp_path, capsys):
    make(tmp_path, 'UKBB')
    (tmp_path / 'UKBB' / 'test' / 'D3H4L6' / 'sa_ES.nii.gz').unlink()
    assert main(['data', 'check', 'ukbb', str(tmp_path / 'UKBB')]) == 1
    out = capsys.readouterr().out
    assert 'cannot run: gradirn_ukbb' in out and 'D3H4L6/sa_ES.nii.gz: no such file' in ' '.join(out.split())


def test_no_folder_says_where_the_data_come_from(tmp_path, capsys):
    assert main(['data', 'check', 'LUMIR', str(tmp_path / 'nowhere')]) == 2
    told = capsys.readouterr().err
    assert 'github.com/JHU-MedImage-Reg' in told and 'LUMIR_dataset.json' in told
    assert main(['data', 'check', 'lumirr']) == 2
    assert main(['data', 'list', 'MMs']) == 0


def test_acdc_in_3d_from_its_own_site(tmp_path, capsys):
    source = acdc_distributed(tmp_path / 'site')
    assert main(['data', 'prepare', 'ACDC', str(source), str(tmp_path / 'ACDC')]) == 0
    for phase in ('ed', 'es'):
        image = read_volume(tmp_path / 'ACDC' / 'test' / f'patient101_{phase}_img.nii.gz')
        labels = read_labels(tmp_path / 'ACDC' / 'test' / f'patient101_{phase}_seg.nii.gz')
        assert image.geometry.shape == (128, 128, 16) and np.allclose(image.geometry.spacing, (1.8, 1.8, 10.0))
        assert labels.geometry.same_grid(image.geometry) and set(np.unique(labels.array)) == {0, 1, 2, 3}
        original = read_volume(
            source / 'testing' / 'patient101' / f'patient101_frame0{1 if phase == "ed" else 4}.nii.gz'
        )
        # Every voxel stays at its place in the world.
        there = original.geometry.world_to_voxel(image.geometry.voxel_to_world(np.argwhere(labels.array > 0)[:5]))
        values = image.array[tuple(np.argwhere(labels.array > 0)[:5].T)]
        np.testing.assert_allclose(values, original.array[tuple(there.round().astype(int).T)], atol=12)
    middle = np.argwhere(labels.array > 0).mean(0)
    assert np.abs(middle - (64, 64, 8)).max() < 3


@pytest.mark.parametrize('name, make_it, subjects', [('MMs', mms_distributed, 4), ('M&Ms-2', mms2_distributed, 4)])
def test_m_and_ms_from_their_own_sites(name, make_it, subjects, tmp_path, capsys):
    source = make_it(tmp_path / 'site')
    target = tmp_path / ('MMs' if name == 'MMs' else 'MMs2')
    assert main(['data', 'prepare', name, str(source), str(target)]) == 0
    assert len(list(target.glob('*/*/ED_img.nii.gz'))) == subjects
    assert {path.parents[1].name for path in target.glob('*/*/ES_seg.nii.gz')} == {'train', 'val', 'test'}
    assert main(['data', 'check', name, str(target)]) == 0
    assert 'cannot run' not in capsys.readouterr().out


def test_preparation_of_something_else_is_one_sentence(tmp_path, capsys):
    for arguments in (['LUMIR', str(tmp_path)], ['ACDC', str(tmp_path)], ['MMs', str(tmp_path)], ['MMs', 'nowhere']):
        assert main(['data', 'prepare', *arguments, str(tmp_path / 'out')]) == 2
        assert capsys.readouterr().err.count('mmreg: error') == 1
    assert not (tmp_path / 'out').exists()


def test_acdc_without_the_labels_of_its_test_patients(tmp_path):
    source = acdc_distributed(tmp_path / 'site', patients=(1, 101))
    for path in source.glob('testing/*/*_gt.nii.gz'):
        path.unlink()
    assert main(['data', 'prepare', 'ACDC', str(source), str(tmp_path / 'ACDC')]) == 0
    made = sorted(path.name for path in (tmp_path / 'ACDC').rglob('*.nii.gz'))
    assert made == [f'patient001_{phase}_{kind}.nii.gz' for phase in ('ed', 'es') for kind in ('img', 'seg')] + [
        f'patient101_{phase}_img.nii.gz' for phase in ('ed', 'es')
    ]


def test_a_folder_called_training_above_everything_is_no_split(tmp_path):
    source = mms_distributed(tmp_path / 'training' / 'site')
    assert main(['data', 'prepare', 'MMs', str(source), str(tmp_path / 'MMs')]) == 0
    assert {path.parents[1].name for path in (tmp_path / 'MMs').glob('*/*/ES_seg.nii.gz')} == {'train', 'val', 'test'}
