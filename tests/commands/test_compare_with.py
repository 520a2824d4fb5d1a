"""One command, several methods, one table: on made pairs whose true field is known."""

import json
import sys
import types

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.evaluation.challenge.ranking import rank
from mmreg.io import Geometry, Volume, write_learn2reg_nifti, write_volume
from mmreg.io.tables import read_rows
from tests.golden.fill import image, labels

SHAPE = (24, 20, 16)
SHIFT = 3


@pytest.fixture
def pairs(tmp_path):
    """Moving images are the fixed ones, rolled along the first axis; ``fields`` holds what undoes it."""
    for number in (1, 2):
        scan, segmented = image(number, SHAPE), labels(number, SHAPE, 4, sigma=3.0).astype(np.int16)
        for role, shift in (('0000', 0), ('0001', SHIFT)):
            for kind, array in (('scan', scan), ('seg', segmented)):
                path = tmp_path / f'{kind}_{number:04d}_{role}.nii.gz'
                write_volume(path, Volume(np.roll(array, shift, 0), Geometry.from_parts(SHAPE)))
            points = np.array([[8.0 + shift, 9.0, 7.0], [12.0 + shift, 6.0, 5.0]])
            np.savetxt(tmp_path / f'points_{number:04d}_{role}.csv', points, delimiter=',')
        field = np.zeros((3, *SHAPE), np.float32)
        field[0] = SHIFT
        write_learn2reg_nifti(tmp_path / 'fields' / f'disp_{number:04d}_{number:04d}.nii.gz', field)
    kinds = {'': 'scan', '_labels': 'seg', '_landmarks': 'points'}
    rows = ['fixed,moving,fixed_labels,moving_labels,fixed_landmarks,moving_landmarks']
    for number in (1, 2):
        names = [
            f'{kind}_{number:04d}_{role}{".csv" if kind == "points" else ".nii.gz"}'
            for kind in kinds.values()
            for role in ('0000', '0001')
        ]
        rows.append(','.join(names))
    (tmp_path / 'pairs.csv').write_text('\n'.join(rows) + '\n')
    return tmp_path


def test_a_table_and_a_ranking(pairs, capsys):
    out = pairs / 'out'
    argv = ['compare-with', 'zero', f'true=fields:{pairs / "fields"}', str(pairs / 'pairs.csv'), '-o', str(out)]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert 'tre' in shown and 'true' in shown
    content = json.loads((out / 'ranking.json').read_text(encoding='utf-8'))
    assert [line['method'] for line in content['ranking']] == ['true', 'zero']
    assert content['means']['true']['tre'] == pytest.approx(0, abs=1e-5)
    assert content['means']['zero']['tre'] == pytest.approx(SHIFT)
    assert content['means']['true']['dice'] > content['means']['zero']['dice']
    rows = read_rows(out / 'true.csv')
    assert {'dice', 'hd95', 'tre', 'ndv_percent'} <= {row.metric for row in rows}
    assert main(['compare', str(out / 'zero.csv'), str(out / 'true.csv'), '--metric', 'dice']) == 0
    kept = next((out / 'fields' / 'zero').iterdir()).stat().st_mtime_ns
    assert main(argv) == 0
    assert next((out / 'fields' / 'zero').iterdir()).stat().st_mtime_ns == kept


def test_convex_adam_is_asked_in_its_own_axis_order(pairs, monkeypatch):
    """A stand-in for the package that answers with the shift, component last, as the package does."""
    module = types.ModuleType('convexAdam.convex_adam_MIND')

    def convex_adam_pt(img_fixed, img_moving, dtype, device):
        assert img_fixed.shape == img_moving.shape == SHAPE
        return np.stack([np.full(SHAPE, SHIFT), np.zeros(SHAPE), np.zeros(SHAPE)], -1)

    module.convex_adam_pt = convex_adam_pt
    monkeypatch.setattr('mmreg.registration.peers._installed', lambda package: True)
    monkeypatch.setitem(sys.modules, 'convexAdam', types.ModuleType('convexAdam'))
    monkeypatch.setitem(sys.modules, 'convexAdam.convex_adam_MIND', module)
    assert main(['compare-with', 'convexadam', 'zero', str(pairs / 'pairs.csv'), '-o', str(pairs / 'out')]) == 0
    means = json.loads((pairs / 'out' / 'ranking.json').read_text(encoding='utf-8'))['means']
    assert means['convexadam']['tre'] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(('method', 'words'), [('nothing', 'is no method'), ('convexadam', '"mmreg[convexadam]"')])
def test_what_cannot_be_run_is_told(pairs, capsys, monkeypatch, method, words):
    monkeypatch.setattr('mmreg.registration.peers._installed', lambda package: False)
    assert main(['compare-with', method, str(pairs / 'pairs.csv'), '-o', str(pairs / 'out')]) == 2
    assert words in capsys.readouterr().err


NETWORK = """
_base_ = 'mmreg::voxelmorph_lumir.py'
model = dict(
    backbone=dict(features=[[2, 2, 2, 2], [2, 2, 2, 2, 2, 2, 2]]),
    flow_head=dict(int_downsize=1),
    integrator=dict(_delete_=True, type='IdentityIntegrator'),
)
"""


@pytest.fixture
def network(tmp_path):
    """A config and a checkpoint whose displacement is the shift everywhere: only the last bias is not 0."""
    import torch

    from mmreg.apis import init_model

    config = tmp_path / 'net.py'
    config.write_text(NETWORK)
    model = init_model(str(config), device='cpu')
    with torch.no_grad():
        model.flow_head.flow.conv.weight.zero_()
        model.flow_head.flow.conv.bias.copy_(torch.tensor([float(SHIFT), 0.0, 0.0]))
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'net.pth')
    return f'{config}:{tmp_path / "net.pth"}'


def compare(pairs, *methods):
    """Exit code, and the means of the methods."""
    out = pairs / 'out'
    code = main(['compare-with', *methods, str(pairs / 'pairs.csv'), '-o', str(out)])
    found = out / 'ranking.json'
    return code, json.loads(found.read_text(encoding='utf-8'))['means'] if found.is_file() else None


def test_a_network_and_what_it_was_made_from(pairs, network, capsys):
    import torch

    code, means = compare(pairs, f'net={network}', 'zero')
    assert code == 0 and means['net']['tre'] == pytest.approx(0, abs=1e-4)
    assert capsys.readouterr().out.count('\n') < 8, 'nothing but the table'
    checkpoint = pairs / 'net.pth'
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict']['flow_head.flow.conv.bias'][0] = 1.0
    torch.save(content, checkpoint)
    code, means = compare(pairs, f'net={network}', 'zero')
    assert code == 0 and means['net']['tre'] == pytest.approx(SHIFT - 1, abs=1e-4), 'fields of the old weights'
    config = pairs / 'net.py'
    config.write_text(config.read_text(encoding='utf-8').replace("'IdentityIntegrator'", "'ScalingSquaring'"))
    before = (pairs / 'out' / 'fields' / 'net').stat().st_mtime_ns
    code, _ = compare(pairs, f'net={network}', 'zero')
    assert code == 0 and (pairs / 'out' / 'fields' / 'net').stat().st_mtime_ns > before, 'fields of the old config'


def test_a_network_without_weights_is_refused(pairs, network, capsys):
    code, _ = compare(pairs, network.partition(':')[0])
    assert code == 2 and 'a network without weights' in capsys.readouterr().err
    assert not (pairs / 'out').exists()


def test_the_optimiser_of_a_pair_with_the_affine_of_its_preset(pairs, tmp_path):
    preset = tmp_path / 'quick.py'
    preset.write_text(
        "_base_ = 'mmreg::register_generic.py'\n"
        'optimisation = dict(levels=[dict(spacing=2.0, iterations=20), dict(spacing=1.0, iterations=20)])\n'
    )
    code, means = compare(pairs, f'found=register:{preset}', 'zero')
    assert code == 0
    assert means['found']['tre'] < 0.5 * SHIFT and means['found']['dice'] > means['zero']['dice']


def test_fields_that_change_are_read_again(pairs):
    method = f'theirs=fields:{pairs / "fields"}'
    assert compare(pairs, method)[1]['theirs']['tre'] == pytest.approx(0, abs=1e-5)
    for path in (pairs / 'fields').iterdir():
        write_learn2reg_nifti(path, np.zeros((3, *SHAPE), np.float32))
    assert compare(pairs, method)[1]['theirs']['tre'] == pytest.approx(SHIFT)


def test_every_missing_field_is_named_before_anything_runs(pairs, capsys):
    next((pairs / 'fields').iterdir()).unlink()
    code, _ = compare(pairs, 'zero', f'theirs=fields:{pairs / "fields"}')
    assert code == 2 and '1 of 2 fields cannot be used' in capsys.readouterr().err
    assert not (pairs / 'out').exists()


def test_own_fields_and_cases_without_numbers(pairs):
    """Fields of an earlier comparison, by the name of the case."""
    (pairs / 'scan_0001_0000.nii.gz').rename(pairs / 'anna.nii.gz')
    text = (pairs / 'pairs.csv').read_text(encoding='utf-8')
    (pairs / 'pairs.csv').write_text(text.replace('scan_0001_0000.nii.gz', 'anna.nii.gz'))
    assert compare(pairs, 'zero')[0] == 0
    code, means = compare(pairs, f'again=fields:{pairs / "out" / "fields" / "zero"}')
    assert code == 0 and means['again']['tre'] == pytest.approx(SHIFT)


def test_images_on_two_grids_are_named_before_anything_runs(pairs, capsys):
    write_volume(
        pairs / 'scan_0002_0001.nii.gz', Volume(np.ones((8, 9, 10), np.float32), Geometry.from_parts((8, 9, 10)))
    )
    assert compare(pairs, 'zero')[0] == 2
    assert '1 of 2 pairs have images of different shapes' in capsys.readouterr().err


def test_ranking_by_hand():
    scores = {
        'a': {'dice': 0.8, 'hd95': 3.0, 'tre': 2.0, 'ndv_percent': 0.0},
        'b': {'dice': 0.7, 'hd95': 4.0, 'tre': 3.0, 'ndv_percent': 1.0},
        'c': {'dice': 0.75, 'hd95': 4.0, 'tre': 2.0, 'ndv_percent': 0.5},
    }
    found = rank(scores)
    assert [(one.method, one.rank) for one in found] == [('a', 1), ('c', 2), ('b', 3)]
    assert [one.score for one in found] == pytest.approx([1.0, 0.5 / 6 + 0 / 6 + 1 / 3 + 0.5 / 3, 0.0])
    without = rank({name: {'dice': found['dice']} for name, found in scores.items()})
    assert [one.score for one in without] == pytest.approx([1.0, 0.5, 0.0])
