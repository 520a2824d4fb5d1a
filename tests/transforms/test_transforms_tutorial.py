"""The commands and Python blocks of the tutorial run, in order, as a reader would run them."""

import re
import shlex
from pathlib import Path

import numpy as np

from mmreg.io import (
    Volume,
    affine_transform,
    write_displacement_image,
    write_inverse_itk_transform,
    write_itk_transform,
    write_landmarks_world,
    write_transform,
    write_volume,
)
from tests.io.helpers import smooth_displacement, smooth_image
from tests.io.test_meshes import vtk

from .transform_files import grids, run, world_affine

PAGE = Path(__file__).parents[2] / 'docs/tutorials/transforms.md'


def write_files(folder):
    fixed, moving = grids()
    image = smooth_image(moving)
    displacement, affine = smooth_displacement(fixed, 1.0), world_affine()
    write_volume(folder / 'fixed.nii.gz', smooth_image(fixed, 1))
    write_volume(folder / 'moving.nii.gz', image)
    write_volume(
        folder / 'labels.nii.gz', Volume(np.array([0, 3, 7], np.int16)[(image.array * 2.99).astype(int)], moving)
    )
    write_volume(folder / 'mask.nii.gz', Volume(np.pad(np.ones([n - 6 for n in fixed.shape], np.uint8), 3), fixed))
    for name, field in (
        ('displacement', displacement),
        ('out_1Warp', displacement),
        ('out_1InverseWarp', -displacement),
    ):
        write_displacement_image(folder / f'{name}.nii.gz', field, fixed)
    for name in ('affine', 'out_0GenericAffine'):
        write_transform(folder / f'{name}.mat', affine_transform(affine))
    write_itk_transform(folder / 'registered/transform.h5', displacement, fixed, affine)
    write_inverse_itk_transform(folder / 'registered/inverse_transform.h5', -displacement, fixed, affine)
    vtk(folder / 'cortex.vtk')
    write_landmarks_world(folder / 'points.csv', fixed.voxel_to_world(np.random.default_rng(0).uniform(6, 11, (9, 3))))


def test_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    names: dict = {'__name__': 'tutorial'}
    blocks = re.findall(r'```(bash|python)\n(.*?)```', PAGE.read_text(encoding='utf-8'), flags=re.DOTALL)
    assert len(blocks) >= 10
    for number, (language, block) in enumerate(blocks):
        if language == 'python':
            exec(compile(block, f'{PAGE.name} block {number}', 'exec'), names)  # noqa: S102
            continue
        for line in block.strip().splitlines():
            program, *arguments = shlex.split(line)
            assert program == 'mmreg' and run(*arguments) == 0, line
    assert 'warning' not in capsys.readouterr().out
    written = {path.name for path in tmp_path.rglob('*')}
    assert {'points_in_moving_in_fixed.csv', 'fixed_warped.nii.gz', 'chain.h5', 'log_jacobian.nii.gz'} <= written
