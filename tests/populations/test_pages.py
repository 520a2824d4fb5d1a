"""Pages of groups: labels by their names, and scans that look different are told."""

import json

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.io import Volume, read_image, write_volume

from .made import group

ROUGH = ['--rounds', '0', '--affine-rounds', '1', '--align', 'rigid']


@pytest.fixture(scope='module')
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pages')
    images, labels, _ = group(folder, count=4)
    names = folder / 'names.json'
    names.write_text(json.dumps({'1': 'Twin <organ>'}))
    return [str(path) for path in images], [str(path) for path in labels], str(names)


@pytest.fixture(scope='module')
def template(scans, tmp_path_factory):
    """Folder of a template whose page knows names."""
    images, labels, names = scans
    out = tmp_path_factory.mktemp('template')
    words = ['template', *images, '--labels', *labels, '-o', str(out), *ROUGH]
    assert main([*words, '--label-names', names]) == 0
    return out, words


def test_a_template(template, scans):
    out, _ = template
    page = (out / 'index.html').read_text(encoding='utf-8')
    assert 'Twin &lt;organ&gt; (1)' in page and '>2<' in page
    lines = (out / 'labels.csv').read_text(encoding='utf-8').splitlines()
    assert lines[0] == 'label,volume_ml,mean_volume_ml,agreement' and [line[0] for line in lines[1:]] == ['1', '2']
    volumes = [float(line.split(',')[2]) for line in lines[1:]]
    true = [read_image(path, check=False).array for path in scans[1]]
    for label, volume in zip((1, 2), volumes):
        mean = np.mean([(array == label).sum() for array in true]) * 16 / 1000
        assert abs(volume - mean) < 0.1 * mean


def test_names_may_be_given_later(template, monkeypatch, tmp_path):
    """The page is written again; nothing is registered."""
    out, words = template
    monkeypatch.setattr('mmreg.registration.cohort.cohort.Cohort.run', lambda *args: pytest.fail('registers'))
    (tmp_path / 'names.csv').write_text('label,name\n2,Heart\n')
    assert main([*words, '--label-names', str(tmp_path / 'names.csv')]) == 0
    page = (out / 'index.html').read_text(encoding='utf-8')
    assert 'Heart (2)' in page and 'Twin' not in page


def test_statistics(template, scans, tmp_path, capsys):
    out, _ = template
    (tmp_path / 'groups.csv').write_text('scan_id,group\nscan0,a\nscan1,a\nscan2,b\nscan3,b\n')
    words = ['statistics', str(out), '-o', str(tmp_path / 'out'), '--label-names', scans[2]]
    assert main([*words, '--groups', str(tmp_path / 'groups.csv')]) == 0
    page = (tmp_path / 'out' / 'index.html').read_text(encoding='utf-8')
    assert page.count('Twin &lt;organ&gt; (1)') == 2 and 'Volumes of regions' in page
    assert 'Twin <organ> (1)' in capsys.readouterr().out


def test_labels_of_atlases(scans, tmp_path, capsys):
    images, labels, names = scans
    words = ['propagate', '--leave-one-out', '--atlases', *images[:3], '--labels', *labels[:3], '--label-names', names]
    words += ['-o', str(tmp_path / 'out'), '--fusion', 'majority', '--preset', 'generic']
    quick = "optimisation.levels=[{'spacing':8.0,'iterations':2}]"
    assert main([*words, '--cfg-options', quick]) == 0
    for place in ('index.html', 'scan0/index.html'):
        assert 'Twin &lt;organ&gt; (1)' in (tmp_path / 'out' / place).read_text(encoding='utf-8')
    assert 'Twin <organ> (1)' in capsys.readouterr().out
    assert (
        (tmp_path / 'out' / 'scan0' / 'labels.csv')
        .read_text(encoding='utf-8')
        .startswith('fusion,label,volume_ml,agreement\n')
    )


def test_a_series(scans, tmp_path):
    images, labels, names = scans
    words = ['series', *images[:2], '-o', str(tmp_path / 'out'), '--labels', labels[0], '--label-names', names]
    assert main([*words, '--reference', '1']) == 0
    assert 'Twin &lt;organ&gt; (1), label 2.' in (tmp_path / 'out' / 'index.html').read_text(encoding='utf-8')


def test_another_contrast_is_told(scans, tmp_path, capsys):
    images, labels, _ = scans
    strange = tmp_path / 'strange.nii.gz'
    image = read_image(images[0])
    write_volume(strange, Volume((image.array.max() - image.array).astype(np.float32), image.geometry))
    assert main(['template', *images[:3], str(strange), '-o', str(tmp_path / 'out'), *ROUGH]) == 0
    assert 'warning: strange looks different: it correlates with the template by -' in capsys.readouterr().out
    assert 'strange looks different' in (tmp_path / 'out' / 'index.html').read_text(encoding='utf-8')
    words = ['series', images[0], str(strange), '-o', str(tmp_path / 'series'), '--reference', '1']
    assert main(words) == 0
    assert 'warning: strange looks different from the reference: it correlates' in capsys.readouterr().out
    words = [
        'propagate',
        images[0],
        '--atlases',
        images[1],
        str(strange),
        '--labels',
        *labels[:2],
        '--fusion',
        'majority',
    ]
    quick = "optimisation.levels=[{'spacing':8.0,'iterations':2}]"
    assert main([*words, '-o', str(tmp_path / 'labels'), '--preset', 'generic', '--cfg-options', quick]) == 0
    assert 'warning: strange looks different from the scan' in capsys.readouterr().out
