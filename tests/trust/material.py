"""Valid, tiny files that the tests of trust damage: images, labels, landmarks, transforms, a network, lists."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from scipy.ndimage import gaussian_filter

from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder

SIZE = (14, 13)
NETWORK = """
model = dict(type='Registrar', ndim=2, backbone=dict(type='ResizePyramid', levels=2,
             encoder=dict(type='EOIREncoder', channels=2)), flow_head=dict(type='CoarseToFineHead'))
"""
TRAINING = """
_base_ = ['{configs}/_base_/models/eoir.py', '{configs}/_base_/schedules/iterations.py',
          '{configs}/_base_/default_runtime_iterations.py']
model = dict(ndim=2, backbone=dict(levels=2, encoder=dict(channels=2)), pyramid=dict(kernel='gaussian'),
             losses=dict(similarity=dict(window=5, levels=[1, 1/2]), smoothness=dict(levels=[1, 1/2])))
_data = dict(type='SyntheticShapes', size=(16, 16), pairing='random', first=0, count=4)
train_dataloader = dict(batch_size=1, num_workers={workers}, persistent_workers={workers} > 0,
                        sampler=dict(type='SeededInfiniteSampler'), dataset=_data)
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='SeededEpochSampler', shuffle=False),
                      dataset=dict(type='SyntheticShapes', size=(16, 16), pairing='next', first=100, count=2))
val_evaluator = [dict(type='DiceMetric', labels=5)]
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False)]
train_cfg = dict(max_iters={iters}, val_interval=3)
test_cfg = None
default_hooks = dict(logger=dict(interval=2),
                     checkpoint=dict(interval=2, save_best='reg/dice', rule='greater', max_keep_ckpts=2))
log_level = 'ERROR'
"""
PRESET = """
_base_ = ['{configs}/register_generic.py']
optimisation = dict(_delete_=True, levels=[dict(scale=1, iterations=2)], step=0.5, smooth_update=1.5, smooth_field=0.8)
"""


def image(size=SIZE, seed=0, roll=0, spacing=1.5):
    """A smooth image of ``size`` (i, j[, k]) as SimpleITK sees it."""
    rng = np.random.default_rng(seed)
    array = gaussian_filter(rng.normal(size=size[::-1]), 2)
    array = np.roll(((array - array.min()) / np.ptp(array) * 1000).astype(np.float32), roll, 0)
    found = sitk.GetImageFromArray(array)
    found.SetSpacing((spacing,) * len(size))
    found.SetOrigin((5.0, -3.0, 2.0)[: len(size)])
    return found


def build(folder):
    """Write everything into ``folder``."""
    folder = Path(folder)
    for name, roll in (('fixed', 0), ('moving', 1)):
        found = image(seed=1, roll=roll)
        for ending in ('nii.gz', 'nii', 'nrrd', 'mha'):
            sitk.WriteImage(found, str(folder / f'{name}.{ending}'), useCompression=ending != 'nii')
        volume = image((9, 8, 7), seed=1, roll=roll)
        sitk.WriteImage(volume, str(folder / f'{name}3d.nii.gz'))
        labels = sitk.Cast(found > 500, sitk.sitkUInt8) + 1
        sitk.WriteImage(labels, str(folder / f'{name}_labels.nii.gz'))
        sitk.WriteImage(sitk.Cast(found > 300, sitk.sitkUInt8), str(folder / f'{name}_mask.nii.gz'))
        points = [found.TransformContinuousIndexToPhysicalPoint(p) for p in ((3, 4), (6, 7), (9.5, 4))]
        (folder / f'{name}_points.csv').write_text(
            'x,y,name\n' + ''.join(f'{-x},{-y},p{n}\n' for n, (x, y) in enumerate(points))
        )
    fixed = image(seed=1)
    rng = np.random.default_rng(3)
    field = np.stack([gaussian_filter(rng.normal(size=SIZE[::-1]), 2) * 3 for _ in range(2)], -1)
    displacement = sitk.GetImageFromArray(field, isVector=True)
    displacement.CopyInformation(fixed)
    for ending in ('nii.gz', 'nrrd', 'mha'):
        sitk.WriteImage(sitk.Cast(displacement, sitk.sitkVectorFloat32), str(folder / f'field.{ending}'))
    affine = sitk.AffineTransform(2)
    affine.SetTranslation((1.0, -2.0))
    composite = sitk.CompositeTransform(2)
    composite.AddTransform(affine)
    composite.AddTransform(sitk.DisplacementFieldTransform(sitk.Image(displacement)))
    for name, transform in (('affine', affine), ('composite', composite)):
        for ending in ('tfm', 'h5'):
            sitk.WriteTransform(transform, str(folder / f'{name}.{ending}'))
    np.savetxt(folder / 'matrix.txt', np.eye(3))
    write_configs(folder)
    write_lists(folder)
    write_challenge(folder)
    return folder


def write_configs(folder):
    configs = config_folder()
    (folder / 'net.py').write_text(NETWORK)
    (folder / 'fast.py').write_text(PRESET.format(configs=configs))
    for workers in (0, 2):
        (folder / f'train{workers}.py').write_text(TRAINING.format(configs=configs, workers=workers, iters=6))
    register_all_modules()
    torch.manual_seed(0)
    model = REGISTRARS.build(load_config(folder / 'net.py').model)
    torch.save({'state_dict': model.state_dict(), 'meta': {'epoch': 1, 'iter': 1}}, folder / 'net.pth')


def write_lists(folder):
    rows = ['fixed,moving,fixed_labels,moving_labels,case_id']
    rows += [f'fixed.nii.gz,moving.nii.gz,fixed_labels.nii.gz,moving_labels.nii.gz,case{k}' for k in range(2)]
    (folder / 'pairs.csv').write_text('\n'.join(rows) + '\n')
    (folder / 'pairs.json').write_text(json.dumps([{'fixed': 'fixed.nii.gz', 'moving': 'moving.nii.gz'}]))


def write_challenge(folder):
    """A ground truth of two pairs in three dimensions, and a submission."""
    from mmreg.io import write_learn2reg_nifti

    for name in ('imagesTr', 'labelsTr', 'sub'):
        (folder / name).mkdir()
    for k in (1, 2, 3):
        volume = image((9, 8, 7), seed=10 + k, spacing=1.0)
        sitk.WriteImage(volume, str(folder / f'imagesTr/X_{k:04d}_0000.nii.gz'))
        labels = sitk.Cast(volume > 500, sitk.sitkUInt8) + 1
        sitk.WriteImage(labels, str(folder / f'labelsTr/X_{k:04d}_0000.nii.gz'))
    pairs = [
        {'fixed': f'imagesTr/X_{a:04d}_0000.nii.gz', 'moving': f'imagesTr/X_{b:04d}_0000.nii.gz'}
        for a, b in ((1, 2), (2, 3))
    ]
    methods = [{'name': 'dice', 'metric': 'dice', 'labels': [1, 2]}, {'name': 'sd', 'metric': 'sdlogj'}]
    config = {'task_name': 'X', 'evaluation_methods': methods, 'expected_shape': [9, 8, 7, 3], 'eval_pairs': pairs}
    (folder / 'evaluation_config.json').write_text(json.dumps(config))
    (folder / 'dataset.json').write_text(json.dumps({'name': 'X', 'validation': pairs, 'registration_val': pairs}))
    field = np.random.default_rng(0).normal(size=(3, 9, 8, 7)).astype(np.float32) * 0.1
    for a, b in ((1, 2), (2, 3)):
        write_learn2reg_nifti(folder / f'sub/disp_{a:04d}_{b:04d}.nii.gz', field)
    with zipfile.ZipFile(folder / 'sub.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / 'sub').iterdir()):
            archive.write(path, path.name)


class Marker:
    """An object whose unpickling makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)
