"""Commands of a prompted model, one after the other: embed labels, register a list, pack the submission."""

import json
import zipfile

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.commands import embed as embed_cli
from mmreg.io import Geometry, Volume, write_volume

SHAPE = (16, 16, 16)
CONFIG = """
labels = dict(labels={{1: 'liver', 2: 'spleen'}})
model = dict(
    type='Registrar',
    backbone=dict(type='LKUNet', channels=2, half_resolution=True),
    flow_head=dict(
        type='TextSCFHead',
        label_set=labels,
        text_embedding=[
            dict(type='FileTextEmbedding', path='{file}', encoder='{encoder}'),
            dict(type='HashTextEmbedding', dim=8),
        ],
        text_dim=8,
        hidden_dim=8,
    ),
)
"""


@pytest.fixture
def project(tmp_path):
    """Three subjects with maps, a list of two pairs, the challenge's JSON."""
    rng = np.random.default_rng(0)
    geometry = Geometry.from_parts(SHAPE, spacing=(1.0, 1.0, 1.0))
    for name in ('0001', '0002', '0003'):
        write_volume(tmp_path / f'OASIS_{name}_0000.nii.gz', Volume(rng.random(SHAPE, np.float32), geometry))
        write_volume(tmp_path / f'map_{name}.nii.gz', Volume(rng.integers(0, 3, SHAPE).astype(np.int16), geometry))
    pairs = [('0001', '0002'), ('0002', '0003')]
    image = '{}/OASIS_{}_0000.nii.gz'
    rows = [
        ','.join((image.format(tmp_path, f), image.format(tmp_path, m), f'{tmp_path}/map_{f}.nii.gz')) for f, m in pairs
    ]
    (tmp_path / 'pairs.csv').write_text('\n'.join(['fixed,moving,fixed_prompt', *rows]) + '\n')
    wanted = [{'fixed': image.format('.', f), 'moving': image.format('.', m)} for f, m in pairs]
    (tmp_path / 'OASIS_dataset.json').write_text(json.dumps({'name': 'OASIS', 'registration_val': wanted}))
    return tmp_path


def write_config(folder, encoder='hash-8'):
    path = folder / f'{encoder}.py'
    path.write_text(CONFIG.format(file=folder / 'text.npz', encoder=encoder))
    return str(path)


def test_from_names_to_a_submission(project, capsys):
    config, out, packed = write_config(project), project / 'task_03', project / 'submission.zip'
    assert embed_cli.main([config, '--out', str(project / 'text.npz')]) == 0
    assert main(['infer', config, '--pairs', str(project / 'pairs.csv'), '--layout', 'oasis', '--out', str(out)]) == 0
    assert sorted(path.name for path in out.glob('*.npz')) == ['disp_0001_0002.npz', 'disp_0002_0003.npz']
    command = ['package', str(out), '--challenge', 'oasis2021', '--dataset', str(project / 'OASIS_dataset.json')]
    assert main([*command, '--shape', *map(str, SHAPE), '-o', str(packed)]) == 0
    with zipfile.ZipFile(packed) as archive:
        assert sum(name.endswith('.npz') for name in archive.namelist()) == 2


def test_one_pair_with_a_map_and_without(project, capsys):
    config = write_config(project)
    files = ['--fixed', str(project / 'OASIS_0001_0000.nii.gz'), '--moving', str(project / 'OASIS_0002_0000.nii.gz')]
    prompt = ['--fixed-prompt', str(project / 'map_0001.nii.gz')]
    assert main(['infer', config, *files, *prompt, '--out', str(project / 'with')]) == 0
    assert (project / 'with').is_dir()
    assert main(['infer', config, *files, '--out', str(project / 'without')]) == 2
    assert 'three ways' in capsys.readouterr().err
    assert (
        main(['infer', config, *files, '--fixed-prompt', str(project / 'no.nii.gz'), '--out', str(project / 'x')]) == 2
    )
    assert 'no.nii.gz' in capsys.readouterr().err
    assert not (project / 'without').exists() and not (project / 'x').exists()


def test_embeddings_of_another_encoder_are_refused(project, capsys):
    assert embed_cli.main([write_config(project), '--out', str(project / 'text.npz')]) == 0
    config = write_config(project, encoder='ViT-L-14-336')
    text = (
        (project / 'ViT-L-14-336.py')
        .read_text(encoding='utf-8')
        .replace("            dict(type='HashTextEmbedding', dim=8),\n", '')
    )
    (project / 'ViT-L-14-336.py').write_text(text)
    files = ['--fixed', str(project / 'OASIS_0001_0000.nii.gz'), '--moving', str(project / 'OASIS_0002_0000.nii.gz')]
    assert main(['infer', config, *files, '--out', str(project / 'out')]) == 2
    said = capsys.readouterr().err
    assert 'hash-8' in said and 'ViT-L-14-336' in said
