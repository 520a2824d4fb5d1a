"""The rigidity report of inference: asked for by the config, written where labels are given."""

import csv
import json

import numpy as np
import torch

from mmreg.apis import RegistrationInferencer
from mmreg.datasets.spine_synthesis import SpineVariation, simulate_spine
from mmreg.io import Geometry, Volume
from mmreg.registration.working.preparation import Preparation, normalise
from mmreg.registry import REGISTRARS

SIZE = (24, 24, 32)
CT = dict(type='ClipWindow', low=-1000.0, high=2000.0, images=['moving'])
MR = dict(type='MinMax', images=['fixed'])


def register(**preparation):
    torch.manual_seed(0)
    unet = dict(
        type='StagedUNet',
        encoder=dict(out_channels=[2, 2, 2]),
        decoder=dict(out_channels=[2]),
        remaining=dict(out_channels=[2]),
    )
    model = REGISTRARS.build(dict(type='Registrar', backbone=unet, flow_head=dict(type='ConvFlowHead', init_std=0.5)))
    return RegistrationInferencer(model, device='cpu', preparation=Preparation(intensity=(CT, MR), **preparation))


def volumes():
    pair = simulate_spine(SIZE, 2, 20, 0, 0, SpineVariation())
    geometry = Geometry(SIZE, np.diag([1.0, 1.0, 1.0, 1.0]))
    return {
        name: Volume(getattr(pair, name)[0].numpy(), geometry)
        for name in ('fixed', 'moving', 'fixed_labels', 'moving_labels')
    }


def test_report_is_written(tmp_path):
    result = register(rigidity=True)(**volumes(), out_dir=tmp_path)
    assert [body.label for body in result.rigidity] == [20, 21]
    with open(tmp_path / 'rigidity.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['label'] for row in rows] == ['20', '21'] and 0 < float(rows[0]['dice']) <= 1
    assert float(rows[0]['residual_mm']) == result.rigidity[0].residual_mm > 0
    content = json.loads((tmp_path / 'rigidity.json').read_text(encoding='utf-8'))
    assert len(content['bodies']) == 2
    assert 'rigid_residual' in result.metrics


def test_no_report_without_labels_or_unless_asked(tmp_path):
    given = volumes()
    images = {name: given[name] for name in ('fixed', 'moving')}
    assert register(rigidity=True)(**images, out_dir=tmp_path / 'a').rigidity is None
    assert not (tmp_path / 'a' / 'rigidity.csv').exists()
    assert register()(**given, out_dir=tmp_path / 'b').rigidity is None
    assert not (tmp_path / 'b' / 'rigidity.csv').exists()


def test_only_moving_labels_and_one_voxel():
    given = volumes()
    labels = np.zeros(SIZE, np.int16)
    labels[12, 12, 16] = 24
    given['moving_labels'] = Volume(labels, given['moving'].geometry)
    del given['fixed_labels']
    result = register(rigidity=True)(**given)
    assert all(np.isfinite(body.residual_mm) for body in result.rigidity)
    assert any('rigidity' in warning for warning in result.warnings)


def test_fixed_and_moving_image_have_their_own_intensities():
    image = np.array([[[-1000.0, 500.0, 2000.0]]], dtype=np.float32)
    assert normalise(image, (CT, MR), 'moving').ravel().tolist() == [0.0, 0.5, 1.0]
    assert np.allclose(normalise(image + 500, (CT, MR), 'fixed').ravel(), [0.0, 0.5, 1.0])
