"""The kernels for a GPU without one: run by Triton's interpreter, and compiled; off unless asked for."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mmreg.spatial.compiled.gpu import switch

ROOT = Path(__file__).parents[2]
needs_triton = pytest.mark.skipif(
    find_spec('triton') is None, reason="Triton is not installed: pip install 'mmreg[gpu]'"
)


def run(module, *words, **environment):
    """The JSON that a module of the tests prints."""
    told = subprocess.run(
        [sys.executable, '-m', module, *words], capture_output=True, text=True, cwd=ROOT, timeout=900,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    return json.loads(told.stdout.splitlines()[-1])


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_interpreter_computes_what_pytorch_does(seed):
    """Against float64: float32 keeps six digits, the local correlation (a quotient of differences) five."""
    found = run('tests.spatial.triton_cases', str(seed), TRITON_INTERPRET='1', MMREG_COMPILED='triton')
    assert len(found) == 64
    limits = {'lncc': 1e-4, 'half': 1e-4, 'mind': 1e-5}
    wrong = {
        name: error
        for name, error in found.items()
        if error > next((limit for word, limit in limits.items() if word in name), 3e-6)
    }
    assert not wrong


@needs_triton
@pytest.mark.slow
def test_every_kernel_compiles_without_spills():
    found = run('tests.spatial.triton_builds')
    assert len(found) > 60 and not {name: use for name, use in found.items() if use['spills']}
    # Three programs of 128 threads at a time on a multiprocessor; Triton 3.5 needs 152 for the gradients of a warp.
    assert max(use['registers'] for use in found.values()) <= 168


def test_off_by_default(monkeypatch):
    image = torch.zeros(1, 1, 4, 4)
    monkeypatch.delenv('MMREG_COMPILED', raising=False)
    assert not switch.triton_in_use() and not switch.on_gpu(image)
    monkeypatch.setenv('MMREG_COMPILED', 'triton')
    monkeypatch.setattr(switch, 'triton_installed', lambda: True)
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    assert switch.triton_in_use() and not switch.on_gpu(image)  # the processor's tensors stay with the kernels in C
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    assert switch.on_gpu(image)
    assert (
        not switch.on_gpu(image.double())
        and not switch.on_gpu(image.half())
        and switch.on_gpu(image.half(), images=True)
    )
    assert not switch.on_gpu(torch.zeros(4, 4)) and not switch.on_gpu(torch.zeros(0, 1, 4, 4))
