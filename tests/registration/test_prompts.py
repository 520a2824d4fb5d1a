"""Prompted models on files: the label map is given, made by the config's segmenter, or missing."""

import json

import numpy as np
import pytest
from mmengine.config import Config

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, read_learn2reg_npz, write_volume
from mmreg.registration.cohort.cases import read_cases
from mmreg.registration.cohort.cohort import Cohort
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.inferencer import RegistrationInferencer


def threshold(image, spacing):
    return (image > image.mean()).astype(np.int64)


def config(prompt='fixed_prompt', segmenter=False):
    head = {
        'type': 'TextSCFHead',
        'label_set': {'labels': {1: 'liver', 2: 'spleen'}},
        'text_embedding': {'type': 'HashTextEmbedding', 'dim': 8},
        'hidden_dim': 8,
        'prompt': prompt,
    }
    backbone = {'type': 'LKUNet', 'channels': 2, 'half_resolution': True}
    made = {'model': {'type': 'Registrar', 'backbone': backbone, 'flow_head': head}}
    if segmenter:
        hook = {'type': 'CallableSegmenter', 'function': f'{__name__}:threshold', 'label_set': head['label_set']}
        steps = [{'type': 'LoadVolumes'}, {'type': 'SegmentPrompt', 'segmenter': hook}, {'type': 'MinMax'}]
        made['test_dataloader'] = {'dataset': {'type': 'PairListDataset', 'preprocess': steps}}
    return Config(made)


@pytest.fixture
def files(tmp_path):
    """Two subjects with labels, as OASIS names them."""
    rng = np.random.default_rng(0)
    geometry = Geometry.from_parts((20, 18, 16), spacing=(1.0, 1.0, 1.0))
    for name in ('0001', '0002'):
        write_volume(tmp_path / f'{name}.nii.gz', Volume(rng.random((20, 18, 16), np.float32), geometry))
        labels = rng.integers(0, 3, (20, 18, 16)).astype(np.int16)
        write_volume(tmp_path / f'labels_{name}.nii.gz', Volume(labels, geometry))
    return {
        'fixed': str(tmp_path / '0001.nii.gz'),
        'moving': str(tmp_path / '0002.nii.gz'),
        'fixed_labels': str(tmp_path / 'labels_0001.nii.gz'),
        'moving_labels': str(tmp_path / 'labels_0002.nii.gz'),
    }


def test_a_given_map_reaches_the_network(files):
    register = RegistrationInferencer(config(), device='cpu')
    images = {key: files[key] for key in ('fixed', 'moving')}
    first = register(**images, fixed_prompt=files['fixed_labels'], inverse=False)
    second = register(**images, fixed_prompt=files['moving_labels'], inverse=False)
    assert not np.array_equal(first.displacement, second.displacement)
    assert 'fixed_prompt' in str(first.provenance)


def test_the_segmenter_of_the_config_is_run(files):
    register = RegistrationInferencer(config(segmenter=True), device='cpu')
    images = {key: files[key] for key in ('fixed', 'moving')}
    made = register(**images, inverse=False)
    volume = made.fixed.volume
    labels = Volume(threshold(volume.array, None).astype(np.int16), volume.geometry)
    given = register(**images, fixed_prompt=labels, inverse=False)
    assert np.array_equal(made.displacement, given.displacement)


def test_oracle_and_propagation_use_the_labels(files):
    images = {key: files[key] for key in ('fixed', 'moving')}
    for prompt, needed in (('fixed_labels', 'fixed_labels'), ('propagate', 'moving_labels')):
        register = RegistrationInferencer(config(prompt), device='cpu')
        assert register(**images, **{needed: files[needed]}, inverse=False).displacement.shape == (3, 20, 18, 16)
        with pytest.raises(DataError, match='three ways|true labels of the fixed image'):
            register(**images, inverse=False)


def test_submission_files_at_half_and_full_resolution(files, tmp_path):
    """What docs/methods/textscf.md shows: register a list, write the challenge's files, pack and check them."""
    pairs = tmp_path / 'pairs.json'
    pairs.write_text(json.dumps({'pairs': [{**files, 'fixed_prompt': files['fixed_labels']}]}))
    register = RegistrationInferencer(config(), device='cpu')
    shapes = {}
    for layout in ('oasis', 'learn2reg'):
        out = tmp_path / layout
        outcomes = Cohort(register, read_cases(pairs), CohortSettings(out, layout)).run()
        assert [o.status for o in outcomes] == ['done'], outcomes[0].reason
        (file,) = [path for path in out.iterdir() if path.suffix in ('.npz', '.gz')]
        shapes[layout] = file.name
        if layout == 'oasis':
            with np.load(file) as stored:
                assert stored['arr_0'].dtype == np.float16 and stored['arr_0'].shape == (3, 10, 9, 8)
            full = read_learn2reg_npz(file, (20, 18, 16))
            direct = register(files['fixed'], files['moving'], fixed_prompt=files['fixed_labels'], inverse=False)
            assert np.abs(full - direct.displacement).max() < 0.1
    assert shapes['oasis'].startswith('disp_0001_0002')
