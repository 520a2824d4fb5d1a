"""The examples of docs/own_parts.md: registered as a user would, and run together, in 2-D and in 3-D."""

import re
from pathlib import Path

import pytest
import torch

from mmreg.cli import main
from mmreg.plugins import register_all_modules
from mmreg.registry import INTEGRATORS, PUBLIC, REGISTRARS

PAGE = Path(__file__).parents[1] / 'docs' / 'own_parts.md'
BLOCKS = re.findall(r'```python\n(.*?)```', PAGE.read_text('utf-8'), flags=re.DOTALL)
NAMES = re.findall(r'register_module\(\)\nclass (\w+)', '\n'.join(BLOCKS))


@pytest.fixture(scope='module', autouse=True)
def parts(tmp_path_factory):
    """All blocks as plugin files; taken out of the registries again, for the other tests."""
    folder = tmp_path_factory.mktemp('own')
    files = []
    for number, text in enumerate(BLOCKS):
        files.append(folder / f'own_part_{number}.py')
        files[-1].write_text(text)
    register_all_modules([str(file) for file in files])
    yield files
    for registry in PUBLIC.values():
        for name in NAMES:
            registry._module_dict.pop(name, None)


def test_every_kind_is_there():
    assert len(BLOCKS) == len(NAMES) == 6


@pytest.mark.parametrize('ndim', [2, 3])
def test_they_work_together(ndim):
    model = dict(
        type='Registrar', ndim=ndim, label_values=3,
        backbone=dict(type='ImagesAlone'), flow_head=dict(type='DifferenceHead', hidden=4),
        integrator=dict(type='EqualSteps', steps=4),
        losses=dict(
            similarity=dict(type='MSE', weight=1.0),
            volume=dict(type='VolumeChange', on='displacement', weight=0.1),
            labels=dict(type='LabelDistance', weight=1.0),
        ),
    )  # fmt: skip
    built = REGISTRARS.build(model)
    size = (1, 1, *(12,) * ndim)
    inputs = {role: torch.rand(size) for role in ('fixed', 'moving')}
    inputs |= {f'{role}_labels': torch.randint(0, 3, size) for role in ('fixed', 'moving')}
    losses = built(inputs, mode='loss')
    total = sum(value for key, value in losses.items() if key.startswith('loss'))
    total.backward()
    assert torch.isfinite(total) and built.flow_head.first.weight.grad.abs().sum() > 0
    assert any('volume' in key for key in losses) and any('labels' in key for key in losses)


def test_the_integrator_is_one():
    from mmreg.spatial import scaling_and_squaring

    torch.manual_seed(0)
    velocity = torch.nn.functional.interpolate(torch.randn(1, 2, 4, 4), size=(24, 24), mode='bilinear')
    ours = INTEGRATORS.build(dict(type='EqualSteps', steps=64))(velocity)
    inner = (slice(None), slice(None), slice(6, -6), slice(6, -6))
    torch.testing.assert_close(ours[inner], scaling_and_squaring(velocity, steps=9)[inner], atol=0.05, rtol=0)


def test_the_metric_in_a_test_run(parts, tmp_path):
    config = tmp_path / 'mine.py'
    base = PAGE.parents[1] / 'configs' / 'gradirn_demo.py'
    config.write_text(f"_base_ = ['{base}']\ntest_evaluator = [dict(type='LabelledVolumeError')]\n")
    options = ['--cfg-options', 'test_dataloader.dataset.count=2', 'test_dataloader.dataset.size=(24,24)']
    arguments = ['--work-dir', str(tmp_path / 'work'), '--out', str(tmp_path / 'out'), *options]
    assert main(['test', str(config), *arguments]) == 0
    rows = (tmp_path / 'out' / 'volume_error.csv').read_text(encoding='utf-8').splitlines()
    assert len(rows) > 3


def test_a_part_that_is_not_registered_is_told_how_to_be(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        (tmp_path / f'{name}.nii.gz').write_bytes(b'')
    config = tmp_path / 'mine.py'
    base = PAGE.parents[1] / 'configs' / 'gradirn_demo.py'
    config.write_text(f"_base_ = ['{base}']\nmodel = dict(integrator=dict(_delete_=True, type='NoSuchSteps'))\n")
    assert (
        main(['infer', str(config), '--fixed', 'a.nii.gz', '--moving', 'b.nii.gz', '--out', str(tmp_path / 'o')]) == 2
    )
    assert '--plugin' in capsys.readouterr().err
