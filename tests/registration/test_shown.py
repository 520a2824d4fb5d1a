"""Options that say how results are shown reach every file: names, view, fill; and what was minimised is told."""

import json

import numpy as np
import pytest

import mmreg
from mmreg.commands.register import main
from mmreg.errors import DataError
from mmreg.io import write_volume
from mmreg.registration.options import RunOptions
from mmreg.registration.register import make_pipeline
from mmreg.registration.results.report import report_content
from tests.visualization.test_report import Page

from .phantoms import centred, draw, write_preset


@pytest.fixture
def pair(tmp_path):
    grid = centred((24, 22, 20), (3.5, 3.5, 3.5))
    found = {}
    for name, bend in (('fixed', 0.0), ('moving', 2.5)):
        for kind in ('', '_labels'):
            found[name + kind] = tmp_path / f'{name}{kind}.nii.gz'
            write_volume(found[name + kind], draw(grid, bend=bend, labels=bool(kind)))
    return found


def test_names_and_view_in_every_file(pair, tmp_path):
    lut = tmp_path / 'lut.txt'
    lut.write_text('1 Body 1 2 3 0\n2 Small<b>Part 1 2 3 0\n')
    out = tmp_path / 'out'
    argv = [pair['fixed'], pair['moving'], '-o', out, '--preset', write_preset(tmp_path), '--affine', 'none']
    argv += ['--fixed-labels', pair['fixed_labels'], '--moving-labels', pair['moving_labels']]
    assert main([*map(str, argv), '--label-names', str(lut), '--view', 'radiological']) == 0
    text = (out / 'report.html').read_text('utf-8')
    page = Page(text)
    assert 'Small<b>Part (2)' in ' '.join(page.texts) and json.loads(page.data)['view'] == 'radiological'
    metrics = json.loads((out / 'metrics.json').read_text(encoding='utf-8'))
    assert metrics['label_names'] == {'1': 'Body', '2': 'Small<b>Part'}
    assert metrics['minimised']['after'] < metrics['minimised']['before']
    header, *rows = (out / 'metrics.csv').read_text(encoding='utf-8').splitlines()
    assert header.endswith(',initial,name') and any(row.endswith(',Body') for row in rows)
    source = json.loads((out / 'plan.json').read_text(encoding='utf-8'))['source']['minimised']
    assert source['terms'] == 'MSE' and source['after'] == pytest.approx(metrics['minimised']['after'])
    assert (out / 'thumbnail.png').stat().st_size < 60_000


def test_both_views_of_the_overview_are_mirror_images(pair, tmp_path):
    from matplotlib.image import imread

    pictures = []
    for view in ('neurological', 'radiological'):
        mmreg.register(
            str(pair['fixed']), str(pair['moving']), only='rigid', preset=write_preset(tmp_path), view=view,
            out_dir=tmp_path / view,
        )  # fmt: skip
        pictures.append(imread(tmp_path / view / 'thumbnail.png')[..., 0])
    third = pictures[0].shape[1] // 3
    np.testing.assert_allclose(pictures[0][:, :third], pictures[1][:, :third][:, ::-1], atol=0.02)
    assert np.abs(pictures[0] - pictures[1]).max() > 0.1


def test_what_is_shown_reaches_the_pipeline():
    options = RunOptions(preset='generic', fill=-1000.0, view='radiological', label_names={1: 'a'})
    pipeline = make_pipeline(options)
    assert pipeline.options.fill == -1000.0 and pipeline.options.view == 'radiological'
    assert pipeline.label_names == {1: 'a'}


def test_a_bad_table_is_refused_before_anything_is_built(tmp_path):
    (tmp_path / 'lut.txt').write_text('nonsense\n')
    with pytest.raises(DataError, match='row 1'):
        make_pipeline(RunOptions(model='no_such_config.py', label_names=tmp_path / 'lut.txt'))


def test_the_content_of_a_report_knows_both(pair, tmp_path):
    result = mmreg.register(
        str(pair['fixed']), str(pair['moving']), only='rigid', preset=write_preset(tmp_path), label_names={1: 'a'}
    )
    content = report_content(result)
    assert content.label_names == {1: 'a'} and content.view == 'neurological'
