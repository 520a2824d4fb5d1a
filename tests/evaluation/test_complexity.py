"""What models cost: closed forms of single layers, published tables, and the table over configs."""

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mmreg.commands import complexity as complexity_cli
from mmreg.evaluation.analysis import complexity, costs
from mmreg.registry import REGISTRARS
from mmreg.structures import Fields
from mmreg.utils.config import load_config

CONFIGS = Path(__file__).parents[2] / 'configs'
V = (160, 192, 224)


class OneConv(nn.Module):
    """A 3-convolution of both images to a displacement, then a ReLU."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, inputs):
        return Fields([self.conv(torch.cat([inputs['fixed'], inputs['moving']], dim=1)).relu()])


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_counts_of_a_single_convolution(device):
    found = complexity.count(OneConv().to(device), complexity.example_inputs((6, 5), batch=2, device=device))
    voxels = 2 * 6 * 5
    assert found.parameters == found.trained == 2 * 2 * 9 + 2
    assert found.multiply_adds == voxels * 2 * 2 * 9
    assert found.activation_bytes == 4 * voxels * (2 + 2)  # the stacked images, and what the ReLU returned


def test_frozen_weights_are_no_trained_ones():
    model = OneConv()
    model.conv.weight.requires_grad_(False)
    found = complexity.count(model, complexity.example_inputs((4, 4)))
    assert (found.parameters, found.trained) == (38, 2)


def model_of(name, device='meta'):
    with torch.device(device):
        return REGISTRARS.build(load_config(CONFIGS / name).model)


@pytest.mark.parametrize(
    ('config', 'giga', 'gibibytes'),
    [
        ('voxelmorph_oasis.py', 513, 6.4),
        ('lkunet_ixi.py', 257, 4.5),
        ('lkunet_oasis.py', 3970, 17.5),
    ],
)
def test_published_costs_at_full_size(config, giga, gibibytes):
    """Multiply-adds and activations of the baselines as the spec states them."""
    found = complexity.count(model_of(config), complexity.example_inputs(V, device='meta'))
    assert found.multiply_adds / 1e9 == pytest.approx(giga, rel=0.003)
    assert found.activation_bytes / 2**30 == pytest.approx(gibibytes, rel=0.04)


@pytest.mark.parametrize(('channels', 'giga'), [(8, 261), (16, 804), (32, 2788)])
def test_eoir_costs_at_full_size(channels, giga):
    cfg = load_config(CONFIGS / 'eoir_lumir.py').model
    cfg.backbone.encoder.channels = channels
    with torch.device('meta'):
        model = REGISTRARS.build(cfg)
    found = complexity.count(model, complexity.example_inputs(V, device='meta'))
    assert found.multiply_adds / 1e9 == pytest.approx(giga, rel=0.002)


@pytest.mark.parametrize('name', ['voxelmorph_oasis.py', 'symnet_oasis.py', 'gradirn_demo.py'])
def test_counting_without_memory_counts_what_is_computed(name):
    size = (16, 16) if 'demo' in name else (16, 16, 16)
    counts = [
        complexity.count(model_of(name, device), complexity.example_inputs(size, device=device))
        for device in ('cpu', 'meta')
    ]
    assert counts[0].parameters == counts[1].parameters
    # On the CPU some convolutions run as two halves with two planes more each.
    assert counts[1].multiply_adds <= counts[0].multiply_adds <= 1.3 * counts[1].multiply_adds
    assert counts[1].activation_bytes <= counts[0].activation_bytes <= 1.3 * counts[1].activation_bytes


def test_recomputed_levels_are_not_kept():
    plain, lean = model_of('voxelmorph_oasis.py'), model_of('voxelmorph_oasis.py')
    lean.backbone.checkpoint_levels = 1
    inputs = complexity.example_inputs((32, 32, 32), device='meta')
    assert complexity.activation_bytes(lean, inputs) < 0.8 * complexity.activation_bytes(plain, inputs)


def test_times_are_medians_after_warm_up():
    calls = []
    model = OneConv()
    model.register_forward_pre_hook(lambda module, _: calls.append(module.training))
    times = complexity.measure(model, complexity.example_inputs((4, 4)), repeats=2, warm_up=1)
    assert calls == [False] * 3 + [True] * 3
    assert times.forward > 0 and times.training > 0 and times.peak_bytes is None
    assert model.conv.weight.grad is None


def test_table_of_configs_goes_on_after_a_failure(tmp_path, capsys):
    """One config that cannot be read keeps its line and its reason; all formats hold the same."""
    broken = tmp_path / 'broken.py'
    broken.write_text(
        "model = dict(type='Registrar', backbone=dict(type='UNett'), flow_head=dict(type='ConvFlowHead'))"
    )
    outputs = [tmp_path / f'table.{end}' for end in ('csv', 'json', 'md', 'png')]
    options = [part for path in outputs for part in ('--out', str(path))]
    code = complexity_cli.main(
        [str(broken), str(CONFIGS / 'gradirn_demo_unet.py'), '--size', '16', '20', '--device', 'cpu', '--repeats', '1']
        + options
    )
    assert code == 0
    rows = list(csv.DictReader(outputs[0].read_text(encoding='utf-8').splitlines()))
    assert [row['config'] for row in rows] == ['broken', 'gradirn_demo_unet']
    assert "did you mean 'UNet'" in rows[0]['reason'] and rows[0]['parameters'] == ''
    assert rows[1]['reason'] == '' and rows[1]['size'] == '16x20' and float(rows[1]['training_seconds']) > 0
    stored = json.loads(outputs[1].read_text(encoding='utf-8'))['configs']
    assert [str(line['multiply_adds'] or '') for line in stored] == [row['multiply_adds'] for row in rows]
    lines = outputs[2].read_text(encoding='utf-8').splitlines()
    assert len(lines) == 4 and lines[0].startswith('| config |') and all(line.count('|') == 10 for line in lines)
    assert outputs[3].read_bytes()[:4] == b'\x89PNG'
    assert 'gradirn_demo_unet' in capsys.readouterr().out


def test_nothing_but_failures_is_an_exit_code(tmp_path, capsys):
    broken = tmp_path / 'broken.py'
    broken.write_text("model = dict(type='NoSuchModel')\n")
    assert complexity_cli.main([str(broken), '--meta']) == 1
    assert 'NoSuchModel' in ''.join(capsys.readouterr().out.split())
    table = tmp_path / 'table.csv'
    assert complexity_cli.main([str(tmp_path / 'none.py'), '--meta', '--out', str(table)]) == 2
    assert 'there is no such config file' in capsys.readouterr().err and not table.exists()
    assert complexity_cli.main([str(tmp_path / 'none.py'), '--out', 'table.xlsx']) == 2
    assert "ends in '.xlsx', expected one of .csv, .json, .md, .png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        ('voxelmorph_oasis', (160, 192, 224)),
        ('sitreg_nlst', (224, 192, 224)),
        ('eoir_acdc', (128, 128, 16)),
        ('gradirn_acdc', (160, 160)),
        ('gradirn_demo', (64, 64)),
        ('spine_demo', (32, 32, 64)),
        ('register_generic', (160, 192, 224)),
    ],
)
def test_sizes_come_from_the_data_set(name, size):
    cfg = load_config(CONFIGS / f'{name}.py')
    assert costs.size_of(cfg, len(size)) == size
