"""Comparison of methods and analysis of fields, on data with known answers."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from scipy import stats

from mmreg.commands.compare import main as compare
from mmreg.commands.deformation import main as analyse
from mmreg.errors import InputError
from mmreg.evaluation.analysis import borders, deformation
from mmreg.evaluation.analysis.compare import ResultSet
from mmreg.evaluation.analysis.statistics import compare_paired, holm, rank_biserial
from mmreg.io import Geometry, Volume, write_displacement_image, write_learn2reg_nifti, write_volume
from mmreg.io.tables import Row, read_rows, write_rows
from tests.golden.fill import flow, labels


def _rows(offset, cases=12, seed=0):
    draw = np.random.default_rng(seed)
    base, noise = draw.uniform(0.5, 0.7, (cases, 3)), np.random.default_rng(seed + 1).normal(0, 0.01, (cases, 3))
    return [
        Row(
            f'case{c:02d}',
            'dice',
            str(label),
            float(base[c, label - 1] + offset + noise[c, label - 1] * (offset > 0)),
            0.4,
        )
        for c in range(cases)
        for label in (1, 2, 3)
    ] + [Row(f'case{c:02d}', 'sdlogj', '', 0.1 + offset + 0.001 * c) for c in range(cases)]


def test_holm_against_the_definition():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.5]) == pytest.approx([1.0, 1.0])
    found = holm([0.02, math.nan, 0.01])
    assert found[0] == pytest.approx(0.02) and math.isnan(found[1]) and found[2] == pytest.approx(0.02)


def test_paired_comparison():
    a, b = np.random.default_rng(0).normal(0, 1, (2, 30))
    b = b + 0.8
    found = compare_paired(a, b)
    assert found.p_value == pytest.approx(stats.wilcoxon(b - a).pvalue)
    assert found.difference == pytest.approx((b - a).mean()) and found.low < found.difference < found.high
    assert compare_paired(a, b, 't').p_value == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert compare_paired(a, a).p_value == 1 and compare_paired(a, a).effect == 0
    assert compare_paired([1.0, math.nan], [2.0, 3.0]).cases == 1
    assert rank_biserial(np.array([1.0, 2, -3])) == pytest.approx(0)
    assert rank_biserial(np.array([1.0, 2, 3])) == 1
    with pytest.raises(InputError, match='sign'):
        compare_paired(a, b, 'sign')


def test_result_sets_match_cases_and_name_what_is_missing():
    results = ResultSet({'a': _rows(0.0), 'b': _rows(0.1)[::-1]})
    assert results.items('dice') == ['1', '2', '3'] and results.items('sdlogj') == []
    difference = np.subtract(results.values('sdlogj', 'b'), results.values('sdlogj', 'a'))
    np.testing.assert_allclose(difference, 0.1)
    test = next(t for t in results.tests() if t.metric == 'dice')
    assert test.result.difference == pytest.approx(0.1, abs=0.01) and test.corrected < 0.01
    with pytest.raises(InputError, match='b lacks 1 values of dice.*case11 3'):
        ResultSet({'a': _rows(0.0), 'b': [r for r in _rows(0.1) if (r.case_id, r.item) != ('case11', '3')]})
    with pytest.raises(InputError, match='twice'):
        ResultSet({'a': _rows(0.0) * 2})
    with pytest.raises(InputError, match='hd95'):
        ResultSet({'a': _rows(0.0)}, metrics=['hd95'])


def test_compare_tool_writes_tables_and_figures(tmp_path, capsys):
    for name, offset in (('unet', 0.0), ('eoir', 0.05), ('vit', 0.02)):
        write_rows(tmp_path / f'{name}.csv', _rows(offset))
    tables = [str(tmp_path / f'{name}.csv') for name in ('unet', 'eoir')] + [f'transformer={tmp_path / "vit.csv"}']
    options = ['-o', str(tmp_path / 'out'), '--per-label', '--reference', 'unet', '--initial']
    assert compare([*tables, *options, '--trade-off', 'sdlogj', 'dice']) == 0
    content = json.loads((tmp_path / 'out/comparison.json').read_text(encoding='utf-8'))
    assert content['methods'] == ['initial', 'unet', 'eoir', 'transformer']
    lines = [t for t in content['tests'] if (t['metric'], t['item'], t['second']) == ('dice', 'mean', 'eoir')]
    assert lines[0]['first'] == 'unet' and lines[0]['difference'] == pytest.approx(0.05, abs=0.01)
    assert lines[0]['p_holm'] >= lines[0]['p']
    assert len([t for t in content['tests'] if t['metric'] == 'dice']) == 3 * 4
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert {'summary.csv', 'summary.md', 'summary.tex', 'tests.csv', 'box_dice.png', 'trade_off.png'} <= names
    assert 'eoir' in capsys.readouterr().out
    with (tmp_path / 'out/summary.csv').open() as file:
        assert {'mean', '1', '2', '3'} == {r['item'] for r in csv.DictReader(file) if r['metric'] == 'dice'}


def test_compare_tool_refuses_bad_tables(tmp_path, capsys):
    (tmp_path / 'a.csv').write_text('x,y\n1,2\n')
    assert compare([str(tmp_path / 'a.csv')]) != 0 and 'columns' in capsys.readouterr().err
    assert compare([str(tmp_path / 'none.csv')]) != 0 and 'none.csv' in capsys.readouterr().err
    write_rows(tmp_path / 'b.csv', _rows(0.0))
    assert compare([str(tmp_path / 'b.csv')] * 2) != 0 and "called 'b'" in capsys.readouterr().err


def test_tables_survive_a_round_trip(tmp_path):
    rows = [*_rows(0.0), Row('a, "b"', 'hd95', '1', math.nan, math.inf)]
    write_rows(tmp_path / 'x.csv', rows)
    found = read_rows(tmp_path)
    assert found[:-1] == [r if r.initial == r.initial else r for r in found[:-1]] and len(found) == len(rows)
    assert found[-1].case_id == 'a, "b"' and math.isnan(found[-1].value) and found[-1].initial == math.inf
    assert [r.value for r in found[:-1]] == [r.value for r in rows[:-1]]


@pytest.mark.parametrize('shape', [(24, 20), (20, 18, 12)])
def test_two_sliding_blocks(shape):
    """Two blocks slide past each other by 3 mm: all of it is tangential, nothing opens, the inside is still."""
    blocks = np.ones(shape, np.int16)
    blocks[shape[0] // 2 :] = 2
    spacing = (2.0, 1.5, 0.8)[: len(shape)]
    field = np.zeros((len(shape), *shape), np.float32)
    field[1][blocks == 2] = 3.0 / spacing[1]
    found = borders.border_jumps(field, blocks, spacing)['']
    assert found.tangential == pytest.approx(3.0, rel=0.05) and found.border == pytest.approx(3.0, rel=1e-5)
    assert found.normal == pytest.approx(0, abs=0.05) and found.interior == 0 and math.isnan(found.ratio)
    field = np.zeros_like(field)
    field[0][blocks == 2] = 1.0 / spacing[0]
    opened = borders.border_jumps(field, blocks, spacing)
    assert opened[''].normal == pytest.approx(1.0, rel=0.05) and opened[''].tangential == pytest.approx(0, abs=0.05)
    assert set(opened) == {'', '1-2'}
    assert borders.jump_map(field, spacing).max() == pytest.approx(1.0)


def test_sliding_along_an_oblique_border_is_tangential():
    i, j = np.meshgrid(np.arange(40.0), np.arange(40.0), indexing='ij')
    blocks = np.where(i + j > 39, 2, 1)
    field = np.zeros((2, 40, 40), np.float32)
    field[0][blocks == 2], field[1][blocks == 2] = 2.0, -2.0
    found = borders.border_jumps(field, blocks, (1.0, 1.0), sigma=2.0)['1-2']
    assert found.tangential == pytest.approx(math.sqrt(8), rel=0.05) and found.normal < 0.1


def test_smoothness_of_a_stretch_and_of_regions():
    grid = torch.stack(torch.meshgrid(*[torch.arange(12.0)] * 3, indexing='ij'))
    regions = labels(0, (12, 12, 12), 3, sigma=3.0)
    found = deformation.smoothness(0.2 * grid, (1.0, 2.0, 1.5), regions)
    assert set(found['sdlogj']) == {'', '1', '2'}
    assert found['sdlogj'][''] == pytest.approx(0, abs=1e-5) and found['bending'][''] == pytest.approx(0, abs=1e-8)
    assert found['min_determinant']['1'] == pytest.approx(1.2**3, rel=1e-5)
    assert found['gradient']['2'] == pytest.approx(0.2 * math.sqrt(3), rel=1e-5)
    assert found['folds_percent'][''] == found['ndv_percent'][''] == 0


def test_complexity_tells_affine_from_fine_motion():
    grid = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(24.0), indexing='ij'))
    affine = deformation.complexity(0.1 * grid + 2, (1.0, 2.0))
    assert affine['affine_share'][''] == pytest.approx(1) and affine['residual'][''] < 1e-5
    wave = torch.stack([torch.sin(2 * torch.pi * grid[0] / 8), torch.zeros(32, 24)])
    fine = deformation.complexity(wave, (2.0, 1.0))
    assert fine['affine_share'][''] < 0.1
    assert fine['wavelength'][''] == pytest.approx(16, rel=0.1)
    assert fine['length_max'][''] == pytest.approx(2, rel=1e-3)
    with pytest.raises(InputError, match='foreground'):
        deformation.complexity(wave, (1.0, 1.0), torch.zeros(32, 24))


def test_deformation_tool(tmp_path, capsys):
    shape = (16, 14, 12)
    geometry = Geometry(shape, np.diag([1.5, 1.0, 2.0, 1.0]))
    regions = Volume(labels(1, shape, 4, sigma=3.0).astype(np.int16), geometry)
    write_volume(tmp_path / 'labels.nii.gz', regions)
    (tmp_path / 'case1').mkdir()
    write_displacement_image(tmp_path / 'case1/displacement.nii.gz', flow(3, shape, 2.0), geometry)
    write_learn2reg_nifti(tmp_path / 'disp_0001_0002.nii.gz', flow(3, shape, 2.0))
    files = [str(tmp_path / 'case1/displacement.nii.gz'), str(tmp_path / 'disp_0001_0002.nii.gz')]
    options = ['-l', str(tmp_path / 'labels.nii.gz'), '-o', str(tmp_path / 'out')]
    assert analyse([*files, *options, '-r', str(tmp_path / 'labels.nii.gz'), '--maps']) == 0
    rows = read_rows(tmp_path / 'out/deformation.csv')
    values = {(r.case_id, r.metric, r.item): r.value for r in rows}
    for metric in ('sdlogj', 'length_mean', 'jump_border', 'jump_ratio'):
        both = values['case1', metric, ''], values['disp_0001_0002', metric, '']
        assert both[0] == pytest.approx(both[1], rel=1e-4) and both[0] > 0
    assert (tmp_path / 'out/case1.png').stat().st_size > 10_000
    assert (tmp_path / 'out/case1_determinant.nii.gz').exists()
    assert analyse([files[1], '-o', str(tmp_path / 'no')]) != 0 and '--reference' in capsys.readouterr().err
