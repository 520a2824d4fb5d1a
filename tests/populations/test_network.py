"""A trained network registers the scans of a group, and what it says itself of the way back is used."""

import csv
import json

import numpy as np
import pytest
import torch

from mmreg.cli import main
from mmreg.io import read_image, read_labels
from mmreg.models.flow_heads.conv_flow import ConvFlowHead
from mmreg.registration.results import inverse as inverses
from mmreg.registry import REGISTRARS
from mmreg.transforms.files import load_transform
from mmreg.utils.config import load_config

from .made import group

CONFIG = """
model = dict(
    type='Registrar',
    ndim=2,
    backbone=dict(type='UNet', features=[[4, 4], [4, 4]]),
    flow_head=dict(type='ConvFlowHead', int_downsize=2, bidirectional={both}, init_std=0.3),
    integrator=dict(type='{integrator}'),
)
"""


@pytest.fixture(scope='module')
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp('network')
    return folder, *group(folder, count=3)


@pytest.fixture
def network(tmp_path):
    """Options of a small network whose deformations are some voxels long."""

    def make(both=True, integrator='ScalingSquaring'):
        config, weights = tmp_path / f'net_{both}_{integrator}.py', tmp_path / f'net_{both}_{integrator}.pth'
        config.write_text(CONFIG.format(both=both, integrator=integrator))
        torch.manual_seed(0)
        model = REGISTRARS.build(load_config(config).model)
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, weights)
        return ['--model', str(config), '--checkpoint', str(weights)]

    return make


@pytest.fixture
def computed(monkeypatch):
    """The displacements that were inverted by computation."""
    found, true = [], inverses.inverse_of

    def noted(displacement, *args, **options):
        found.append(displacement)
        return true(displacement, *args, **options)

    for place in ('mmreg.registration.pipeline', 'mmreg.populations.template.finish'):
        monkeypatch.setattr(f'{place}.inverse_of', noted)
    return found


def _rows(path):
    return list(csv.DictReader(path.read_text(encoding='utf-8').splitlines()))


def _there_and_back(transform):
    points = np.array([[4.0, 6.0], [-12.0, 10.0], [0.0, 0.0], [20.0, -16.0]])
    there = transform.transform_points(points)
    assert np.abs(there - points).max() > 0.5
    return np.abs(transform.inverse().transform_points(there) - points).max()


@pytest.mark.parametrize('both', [True, False])
def test_a_pair(both, scans, network, computed, tmp_path):
    _, images, *_ = scans
    words = ['register', str(images[0]), str(images[1]), '-o', str(tmp_path / 'out'), *network(both)]
    assert main([*words, '--affine', 'none']) == 0
    plan = json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))
    assert plan['inverse'] == ('model' if both else 'computed') and len(computed) == (not both)
    assert plan['metrics']['inverse_residual_mm']['mean'] <= 0.1 * 4
    assert _there_and_back(load_transform(tmp_path / 'out')) < 0.8


def test_a_way_back_that_does_not_lead_back_is_not_used(scans, network, computed, tmp_path, monkeypatch):
    forward = ConvFlowHead.fields

    def wrong(self, *args):
        fields = forward(self, *args)
        fields.inverse_displacements = [0 * u for u in fields.inverse_displacements]
        return fields

    monkeypatch.setattr(ConvFlowHead, 'fields', wrong)
    _, images, *_ = scans
    words = ['register', str(images[0]), str(images[1]), '-o', str(tmp_path / 'out'), *network()]
    assert main([*words, '--affine', 'none']) == 0
    assert (
        json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))['inverse'] == 'computed'
        and len(computed) == 1
    )


@pytest.mark.parametrize('both', [True, False])
def test_a_template(both, scans, network, computed, tmp_path):
    _, images, labels, _ = scans
    words = ['template', *map(str, images), '-o', str(tmp_path / 'out'), '--labels', *map(str, labels), *network(both)]
    assert main([*words, '--rounds', '1', '--affine-rounds', '1', '--align', 'rigid', '--schedule', '1']) == 0
    rows = _rows(tmp_path / 'out' / 'scans.csv')
    assert {row['inverse'] for row in rows} == {'model' if both else 'computed'}
    assert len(computed) == (0 if both else len(images))
    for row in rows:
        assert float(row['distance_mm']) > 0.1  # the network's deformations, whatever they are
        assert float(row['inverse_error_mm']) < 0.4
        assert _there_and_back(load_transform(tmp_path / 'out' / 'transforms' / row['scan_id'])) < 0.8


def test_atlases(scans, network, tmp_path):
    _, images, labels, _ = scans
    words = ['propagate', str(images[0]), '--atlases', *map(str, images[1:]), '--labels', *map(str, labels[1:])]
    assert main([*words, '-o', str(tmp_path / 'out'), *network()]) == 0
    assert set(np.unique(read_labels(tmp_path / 'out' / 'labels.nii.gz').array)) <= {0, 1, 2}
    plan = json.loads((tmp_path / 'out' / 'atlases' / 'scan1' / 'plan.json').read_text(encoding='utf-8'))
    assert plan['checkpoint']['path'].endswith('.pth') and plan['preset'] is None


@pytest.mark.parametrize('way', [['--to', 'reference', '--reference', '1'], ['--to', 'previous']])
def test_a_series(way, scans, network, computed, tmp_path, monkeypatch):
    _, images, labels, _ = scans
    words = ['series', *map(str, images), '-o', str(tmp_path / 'out'), '--motion', 'deformable', *way, *network()]
    from mmreg.transforms import inverse as numeric

    monkeypatch.setattr(numeric, 'invert_parts', lambda *args, **options: pytest.fail('inverted by computation'))
    assert main([*words, '--labels', str(labels[0])]) == 0
    assert not computed
    assert read_image(tmp_path / 'out' / 'mean.nii.gz').ndim == 2
    assert (tmp_path / 'out' / 'labels' / 'scan2.nii.gz').is_file()


def test_a_network_without_a_deformation_to_find_is_one_sentence(scans, network, tmp_path, capsys):
    _, images, *_ = scans
    assert main(['series', *map(str, images), '-o', str(tmp_path / 'out'), *network()]) == 2
    assert 'model, checkpoint were given with motion=rigid, expected motion=deformable' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
