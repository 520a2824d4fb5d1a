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
    content = json.loads((out / 'ranking.json').read_text())
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

    def convex_adam_pt(img_fixed, img_moving):
        assert img_fixed.shape == img_moving.shape == SHAPE
        return np.stack([np.full(SHAPE, SHIFT), np.zeros(SHAPE), np.zeros(SHAPE)], -1)

    module.convex_adam_pt = convex_adam_pt
    monkeypatch.setitem(sys.modules, 'convexAdam', types.ModuleType('convexAdam'))
    monkeypatch.setitem(sys.modules, 'convexAdam.convex_adam_MIND', module)
    assert main(['compare-with', 'convexadam', 'zero', str(pairs / 'pairs.csv'), '-o', str(pairs / 'out')]) == 0
    means = json.loads((pairs / 'out' / 'ranking.json').read_text())['means']
    assert means['convexadam']['tre'] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(('method', 'words'), [('nothing', 'is no method'), ('convexadam', 'pip install convexAdam')])
def test_what_cannot_be_run_is_told(pairs, capsys, monkeypatch, method, words):
    monkeypatch.setitem(sys.modules, 'convexAdam', None)
    assert main(['compare-with', method, str(pairs / 'pairs.csv'), '-o', str(pairs / 'out')]) == 2
    assert words in capsys.readouterr().err


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
