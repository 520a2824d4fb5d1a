"""Golden cases of the challenges' evaluations and of a submission file."""

from __future__ import annotations

import math
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from mmreg.evaluation.challenge.config import find_configs, read_config
from mmreg.evaluation.challenge.published import warp_labels
from mmreg.evaluation.challenge.scorer import score
from mmreg.evaluation.functional import overlap
from mmreg.io import read_learn2reg_npz, read_npz, write_learn2reg_npz
from tests.golden.harness import Case, runner

from .calls import array
from .inputs import at_stored


@runner('l2r_eval', 'expected')
def learn2reg(case: Case) -> None:
    _score(case, 'learn2reg', masked=case.name == 'expected_masked')


@runner('lumir_eval', 'expected')
def lumir(case: Case) -> None:
    _score(case, 'lumir', masked=None)


def _score(case: Case, challenge: str, masked: bool | None) -> None:
    folder = case.path.parent
    truth = folder / 'ground-truth'
    configs = [read_config(path) for path in find_configs(truth, challenge)]
    _same(score(folder / 'submission', truth, configs, masked=masked), case.info, case.id)


def _same(found: object, expected: object, where: str) -> None:
    """Equal names, structure and missing values; numbers to 1e-6."""
    if isinstance(expected, dict):
        assert isinstance(found, dict) and found.keys() == expected.keys(), f'{where}: {found} {expected}'
        for key, value in expected.items():
            _same(found[key], value, f'{where}/{key}')
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), where
        for number, pair in enumerate(zip(found, expected)):
            _same(*pair, f'{where}/{number}')
    elif isinstance(expected, float):
        assert (
            math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-6) or math.isnan(found) and math.isnan(expected)
        ), f'{where}: {found}, expected {expected}'
    else:
        assert found == expected, where


@runner('textscf', 'textscf_submission')
def submission_file(case: Case) -> None:
    shape, values = case.info['shape'], case.info['values']
    field = array(case.info['inputs']['flow'], shape)
    fixed = array(case.info['inputs']['fixed_labels'], shape)
    shift = case.info['inputs']['moving_labels'].split('), (', 1)[1].split(')')[0]
    source = array(case.info['inputs']['moving_labels'], shape)
    moving = np.roll(source, [int(n) for n in shift.split(',')], axis=tuple(range(len(shape))))
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'disp_0001_0002.npz'
        write_learn2reg_npz(path, field, mode='constant')
        stored, raised = read_npz(path, ('arr_0',))['arr_0'], read_learn2reg_npz(path, shape, mode='constant')
    assert stored.dtype == np.float16
    # The published script takes a detour over the normalised grid, wrong by 6e-6: a value may round to the next half.
    one_step = {'rtol': 2.0**-10, 'atol': 2.0**-10}
    case.close('disp_half', stored, **one_step)
    case.close('disp_up', at_stored(torch.from_numpy(raised)[None], case.arrays['disp_up']), **one_step)
    classes = range(1, int(re.search(r'labels\(\d+, shape, (\d+)', case.info['inputs']['fixed_labels']).group(1)))
    for key, displacement in (('dice_full_scipy', field), ('dice_half_scipy', raised)):
        scores = overlap.dice(warp_labels(moving, displacement.astype(np.float64)), fixed, classes, absent=0.0)
        case.close(key, scores.mean(), values[key])
