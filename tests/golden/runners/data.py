"""Preprocessing, export and learning rates of the published EOIR recipes."""

import re
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from mmreg.datasets.transforms import ClipWindow, Zoom
from mmreg.engine.schedulers import PolynomialRounded
from mmreg.io import read_npz, write_learn2reg_npz
from tests.golden.harness import Case, runner

from .calls import array

_NUMBER = r'-?\d+(?:\.\d+)?'


def _numbers(pattern: str, text: str) -> list[float]:
    match = re.search(pattern, text)
    assert match, f'{text!r} does not say {pattern!r}'
    return [float(group) for group in match.groups()]


@runner('eoir', lambda case: 'abdomen_image' in case.info.get('arrays', {}))
def eoir_data(case: Case) -> None:
    shape, what = case.info['shape'], case.info['what']
    checks = {'abdomen_image': _image, 'abdomen_label': _labels, 'oasis_export_float16': _export}
    assert set(checks) == set(case.arrays) == set(what)
    for key, compute in checks.items():
        found = compute(what[key], shape)
        assert str(found.dtype) == case.info['arrays'][key][0], key
        # Half precision: a value may round to the next one.
        case.close(key, found, **({'rtol': 2.0**-10, 'atol': 2.0**-10} if found.dtype == np.float16 else {}))
    for setting, values in case.info['poly_lr']['values'].items():
        lr0, epochs = _numbers(rf'lr0=({_NUMBER}),epochs=(\d+)', setting)
        found = _learning_rates(lr0, int(epochs), max(int(epoch) for epoch in values))
        for epoch, expected in values.items():
            assert abs(found[int(epoch)] - expected) < 1e-12, f'{case.id} {setting} epoch {epoch}'


def _image(text: str, shape: list[int]) -> np.ndarray:
    scale, shift = _numbers(rf'\)\*({_NUMBER})([+-]\d+(?:\.\d+)?)', text)
    low, high = _numbers(rf'clipped to \[({_NUMBER}),({_NUMBER})\]', text)
    assert 'mapped to [0,1]' in text
    hounsfield = (array(text, shape) * scale + shift).astype(np.float32)
    return _zoomed(text, ClipWindow(low, high)({'image': hounsfield[None]}))['image'][0]


def _labels(text: str, shape: list[int]) -> np.ndarray:
    labels = array(text, shape).astype(np.int16)
    factor, order = _numbers(rf'zoom ({_NUMBER}) order (\d+)', text)
    assert order == 0, 'labels are never interpolated'
    return Zoom(factor, mode='constant')({'image': labels[None].astype(np.float32), 'labels': labels[None]})['labels'][
        0
    ]


def _zoomed(text: str, sample: dict) -> dict:
    factor, order = _numbers(rf'zoom ({_NUMBER}) order (\d+)', text)
    return Zoom(factor, int(order), mode='constant')(sample)


def _export(text: str, shape: list[int]) -> np.ndarray:
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'disp_0001_0002.npz'
        write_learn2reg_npz(path, array(text, shape), mode='constant')
        return read_npz(path)['arr_0']


def _learning_rates(lr0: float, epochs: int, last: int) -> list[float]:
    """The rate of each epoch as a runner sets it."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=lr0)
    schedule = PolynomialRounded(optimizer, power=0.9, end=epochs)
    rates = [optimizer.param_groups[0]['lr']]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the optimizer itself takes no step here
        for _ in range(last):
            schedule.step()
            rates.append(optimizer.param_groups[0]['lr'])
    return rates
