"""Where predicted label maps come from: every segmenter, class numbers, other grids, the cache, mistakes."""

import json
import stat

import numpy as np
import pytest
import torch

from mmreg.datasets import PairListDataset
from mmreg.datasets.transforms import PackRegInputs, SegmentPrompt
from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Volume, read_volume, write_volume
from mmreg.registry import SEGMENTERS

CALLS = []


def bright(image, spacing, level=0.5):
    """Class 1 where the image is bright, 7 where it is very bright."""
    CALLS.append(spacing)
    return (image > level).astype(np.int64) + 6 * (image > 0.9)


@pytest.fixture
def image(tmp_path):
    voxels = np.random.default_rng(0).random((8, 6, 5)).astype(np.float32)
    volume = Volume(voxels, Geometry.from_parts(voxels.shape, spacing=(1.0, 2.0, 1.5), origin=(3.0, -2.0, 5.0)))
    path = tmp_path / 'img_01.nii.gz'
    write_volume(path, volume)
    return volume, str(path)


def run(config, image, **changes):
    volume, path = image
    return SEGMENTERS.build({**config, **changes})(volume.array[None], volume.geometry, path)


@pytest.mark.parametrize('shape', [(6, 5), (6, 5, 4)])
def test_a_function(shape):
    array = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    geometry = Geometry.from_parts(shape, spacing=(2.0,) * len(shape))
    config = {'type': 'CallableSegmenter', 'function': f'{__name__}:bright', 'label_set': 'acdc3'}
    labels = SEGMENTERS.build({**config, 'classes': {1: 2, 7: 3}, 'options': {'level': 0.25}})(array[None], geometry)
    assert labels.shape == (1, *shape) and labels.dtype == np.int16
    assert np.array_equal(labels[0], 2 * (array > 0.25) + (array > 0.9))
    with pytest.raises(DataError, match=r'gave the labels \[7\], expected those of the label set'):
        SEGMENTERS.build(config)(array[None], geometry)
    with pytest.raises(ConfigError, match='cannot be imported'):
        SEGMENTERS.build({**config, 'function': 'nowhere:bright'})


def test_files_in_the_world_and_on_the_voxels(image, tmp_path):
    volume, path = image
    labels = np.zeros(volume.array.shape, np.int16)
    labels[2:5, 1:4, 1:3] = 53  # FreeSurfer: right hippocampus
    labels[0] = 24  # not in the set
    target = tmp_path / 'seg' / 'img_01.nii.gz'
    write_volume(target, Volume(labels, volume.geometry).reoriented('LPS'))
    config = {'type': 'FileSegmenter', 'label_set': 'oasis35', 'classes': 'freesurfer'}
    config['path'] = '{folder}/seg/{stem}.nii.gz'
    found = run(config, image)
    assert np.array_equal(found[0] == 30, labels == 53) and set(np.unique(found)) == {0, 30}
    flipped = run(config, image, grid='voxel')
    assert np.array_equal(flipped[0], found[0][::-1, ::-1])
    with pytest.raises(DataError, match=r'nothing/img_01.nii.gz: there is no such segmentation.*img_01.nii.gz'):
        run(config, image, path='{folder}/nothing/{id}.nii.gz')


def test_a_program(image, tmp_path):
    program = tmp_path / 'segment.sh'
    program.write_text('#!/bin/sh\ncp "$2" "$4"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    volume, _ = image
    ready = tmp_path / 'ready.nii.gz'
    write_volume(ready, Volume((volume.array > 0.5).astype(np.int16), volume.geometry))
    config = {
        'type': 'CommandSegmenter',
        'label_set': 'acdc3',
        'command': [str(program), '-i', '{input}', '-o', '{output}'],
    }
    found = run(config, (volume, str(ready)))  # the "image" is a label map already, the program copies it
    assert np.array_equal(found[0], volume.array > 0.5)
    program.write_text('#!/bin/sh\necho "out of memory" >&2\nexit 3\n')
    with pytest.raises(DataError, match='ended with code 3 and without a label file: out of memory'):
        run(config, image)
    with pytest.raises(DataError, match="there is no program 'no-such-program'"):
        run(config, image, command=['no-such-program', '{input}', '{output}'])
    with pytest.raises(ConfigError, match='with {input} and {output}'):
        run(config, image, command=['x', '{input}'])


@pytest.fixture
def bundle(tmp_path):
    """A bundle whose network is a 1x1x1 convolution: class 2 ('aorta') where the scaled image is above 0.5."""
    folder = tmp_path / 'bundle'
    (folder / 'configs').mkdir(parents=True)
    (folder / 'models').mkdir()
    transforms = [
        {'_target_': 'LoadImaged', 'keys': 'image'},
        {'_target_': 'Spacingd', 'keys': 'image', 'pixdim': [1.0, 1.0, 1.0], 'mode': 'nearest'},
    ]
    post = [
        {
            '_target_': 'Invertd',
            'keys': 'pred',
            'transform': '@preprocessing',
            'orig_keys': 'image',
            'nearest_interp': True,
        },
        {'_target_': 'AsDiscreted', 'keys': 'pred', 'argmax': True},
        {'_target_': 'SaveImaged', 'keys': 'pred'},
    ]
    config = {
        'network_def': {'_target_': 'torch.nn.Conv3d', 'in_channels': 1, 'out_channels': 3, 'kernel_size': 1},
        'preprocessing': {'_target_': 'Compose', 'transforms': transforms},
        'inferer': {'_target_': 'SimpleInferer'},
        'postprocessing': {'_target_': 'Compose', 'transforms': post},
    }
    (folder / 'configs' / 'inference.json').write_text(json.dumps(config))
    names = {'0': 'background', '1': 'kidney_left', '2': 'aorta'}
    metadata = {'network_data_format': {'outputs': {'pred': {'channel_def': names}}}}
    (folder / 'configs' / 'metadata.json').write_text(json.dumps(metadata))
    weight = torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1, 1, 1)
    torch.save({'weight': weight, 'bias': torch.tensor([0.5, -9.0, 0.0])}, folder / 'models' / 'model.pt')
    return folder


def test_a_monai_bundle_by_class_names(image, bundle):
    config = {
        'type': 'MonaiBundleSegmenter',
        'bundle': str(bundle),
        'label_set': 'abdomenct13',
        'classes': 'totalsegmentator',
    }
    found = run(config, image)
    assert set(np.unique(found)) == {0, 8}  # the set's own number of the aorta
    assert (np.array_equal(found[0] == 8, image[0].array > 0.5)) or (
        (found[0] == 8) == (image[0].array > 0.5)
    ).mean() > 0.95
    with pytest.raises(ConfigError, match='is no MONAI bundle'):
        run(config, image, bundle=str(bundle.parent))


def test_results_are_kept_by_image_and_settings(image, tmp_path):
    config = {'type': 'CallableSegmenter', 'function': bright, 'label_set': 'acdc3', 'classes': {1: 1}}
    config['cache_dir'] = str(tmp_path / 'cache')
    CALLS.clear()
    first, second = run(config, image), run(config, image)
    assert np.array_equal(first, second) and len(CALLS) == 1
    run(config, image, classes={1: 2})
    assert len(CALLS) == 2
    other = Volume(image[0].array * 0.99, image[0].geometry)
    run(config, (other, image[1]))
    assert len(CALLS) == 3


def test_the_network_sees_the_prompt_and_metrics_do_not(image, tmp_path):
    volume, path = image
    write_volume(tmp_path / 'lab.nii.gz', Volume((volume.array > 0.3).astype(np.int16), volume.geometry))
    pairs = tmp_path / 'pairs.csv'
    pairs.write_text(
        'fixed,moving,fixed_labels,moving_labels\n' + ','.join(['img_01.nii.gz'] * 2 + ['lab.nii.gz'] * 2) + '\n'
    )
    segmenter = {'type': 'CallableSegmenter', 'function': f'{__name__}:bright', 'label_set': 'acdc3', 'classes': {1: 3}}
    steps = [{'type': 'LoadVolumes'}, {'type': 'SegmentPrompt', 'segmenter': segmenter}]
    dataset = PairListDataset(str(pairs), preprocess=steps, pipeline=[PackRegInputs()])
    item = dataset[0]
    prompt = item['inputs']['fixed_prompt']
    assert prompt.dtype == torch.int64 and set(prompt.unique().tolist()) == {0, 3}
    assert item['inputs']['fixed_labels'].sum() != prompt.clamp(max=1).sum()


def test_a_prompt_that_is_there_stays(image):
    given = np.ones((1, *image[0].array.shape), np.int16)
    step = SegmentPrompt({'type': 'FileSegmenter', 'path': 'nowhere', 'label_set': 'acdc3'})
    sample = step({'image': image[0].array[None], 'affine': image[0].geometry.affine, 'prompt': given})
    assert sample['prompt'] is given
    assert read_volume(image[1]).geometry.same_grid(image[0].geometry)
