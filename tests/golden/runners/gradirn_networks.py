"""GraDIRN and its U-Net baseline: forward passes and training steps, through the converter of their checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from mmreg.converters import FAMILIES
from mmreg.models.blocks.descent.step import kappa
from mmreg.models.flow_heads.gradirn import START
from mmreg.registry import REGISTRARS
from mmreg.spatial import warp
from tests.golden.harness import Case, runner

from .eoir_networks import parse_inputs
from .networks import published_weights

#: Stored numbers are float32 roundings of float64 results.
DOUBLE = {'rtol': 1e-5, 'atol': 1e-5}
#: Of float32 against float64: single voxels next to an integer position may differ.
PERCENTILE, SINGLE = 99.0, 1e-4


def build(case: Case, family: str) -> nn.Module:
    """The model of a case with its weights, float64 where the case is."""
    shapes = {name: tuple(shape) for name, shape in case.info['state_dict']}
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == case.info['parameters']
    known = FAMILIES[family]
    weights = known.convert(published_weights(case))
    config = known.describe(weights)
    if family == 'gradirn':
        known.configure(config, case.info['constructor'])
        config['flow_head']['velocity_unit'] = 'published'
    model = REGISTRARS.build({'type': 'Registrar', **config, **training(case)})
    model.load_state_dict(weights)
    assert sum(p.numel() for p in model.parameters()) == case.info['parameters']
    return model.double() if 'float64' in case.info['compute_dtype'] else model


def training(case: Case) -> dict:
    """Objective of a training case."""
    if 'loss' not in case.info:
        return {}
    loss = case.info['loss']
    assert loss['regularity'] == 'diffusion'
    similarity = {'mse': {'type': 'MSE'}, 'ncc': {'type': 'NCC', 'negative': True}}[loss['similarity']]
    return {
        'losses': {
            'similarity': {**similarity, 'weight': loss['similarity_weight']},
            'regularity': {'type': 'Diffusion', 'reduction': 'energy', 'weight': loss['regularity_weight']},
        }
    }


def inputs_of(case: Case, model: nn.Module) -> dict[str, Tensor]:
    dtype = next(model.parameters()).dtype
    return {key: parse_inputs(case.info['inputs'][key]).to(dtype) for key in ('fixed', 'moving')}


def with_start(case: Case, inputs: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The inputs with the constant start of the case, which it gives in size-normalised voxels."""
    if case.info.get('init_disp') is None:
        return dict(inputs)
    fixed = inputs['fixed']
    size = [n // 2 ** (levels - 1) for n in fixed.shape[2:]]
    start = fixed.new_full((len(fixed), len(size), *size), case.info['init_disp'])
    return {**inputs, START: start * kappa(start)}


@runner('gradirn', lambda case: case.info.get('what', '').startswith('GraDIRN forward'))
def forward_pass(case: Case) -> None:
    model = build(case, 'gradirn').eval()
    model.flow_head.record = True
    inputs = with_start(case, inputs_of(case, model), model.backbone.spec.levels)
    with torch.no_grad():
        results, steps = recorded(model, inputs)
    assert len(steps) == len(case.info['steps'])
    for stored, step in zip(case.info['steps'], steps):
        level = model.backbone.spec.levels - 1 - step.level
        found = {'level': level, 'block': step.block, 'repeat': step.repeat}
        assert {**found, 'shape': list(step.displacement.shape[2:])} == stored
    informative = {case.info.get('published_float32', {}).get('key')}
    for key in set(case.arrays) - informative:
        case.close(key, results[key], **DOUBLE)
    for key, value in case.info.get('max_abs_disp', {}).items():
        case.close(f'largest {key}', results[key].abs().max(), value, rtol=1e-6, atol=1e-6)
    single_precision(case, model, inputs, results)


def recorded(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list]:
    """Everything a forward case may store, in its unit."""
    fields = model(inputs)
    steps = fields.extras['steps']
    results: dict[str, Tensor] = {}
    for number, step in enumerate(steps):
        results[f'disp_{number:02d}'] = step.displacement / kappa(step.displacement)
        results[f'sim_step_{number:02d}'] = step.increments.similarity
        results[f'reg_step_{number:02d}'] = step.increments.regularity
    results['warped_last'] = warp(inputs['moving'], fields.displacement)
    torch.testing.assert_close(fields.velocities[0], results[f'disp_{len(steps) - 1:02d}'])
    torch.testing.assert_close(fields.displacement, steps[-1].displacement)
    return results, steps


def single_precision(
    case: Case, model: nn.Module, inputs: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """The same in float32, up to isolated voxels."""
    with torch.no_grad():
        found, _ = recorded(model.float(), {key: value.float() for key, value in inputs.items()})
    for key in case.arrays:
        if key in found:
            difference = (found[key].double() - expected[key]).abs().numpy()
            assert np.percentile(difference, PERCENTILE) < SINGLE, f'{case.id} {key} in float32'


@runner('gradirn', lambda case: case.info.get('what', '').startswith('One training step'))
def training_step(case: Case) -> None:
    for checkpointed in (False, True):
        model = build(case, 'gradirn').train()
        model.flow_head.checkpoint_steps = checkpointed
        losses = model(inputs_of(case, model), mode='loss')
        total = sum(value for key, value in losses.items() if key.startswith('loss_'))
        values = {'total': total, 'sim': losses['similarity'], 'reg': losses['regularity']}
        assert set(values) == set(case.info['values'])
        for key, value in case.info['values'].items():
            case.close(key, values[key], value, rtol=1e-8, atol=1e-10)
        total.backward()
        check_gradients(case, dict(model.named_parameters()))


def check_gradients(case: Case, parameters: Mapping[str, Tensor]) -> None:
    gradients = {name: parameters[FAMILIES['gradirn']._ours(name)].grad for name in case.info['grad_summary']}
    assert {f'grad:{name}' for name in gradients} == set(case.arrays)
    for name, gradient in gradients.items():
        scale = float(np.abs(case.arrays[f'grad:{name}']).max())
        case.close(f'grad:{name}', gradient, rtol=1e-5, atol=1e-5 * max(scale, 1e-3))
        summary = case.info['grad_summary'][name]
        norm = summary['l2']
        case.close(f'{name} norm', gradient.norm(), norm, rtol=1e-5, atol=1e-8)
        case.close(f'{name} sum', gradient.sum(), summary['sum'], rtol=1e-5, atol=1e-5 * norm)


@runner('gradirn', lambda case: 'U-Net baseline' in case.info.get('what', ''))
def unet_baseline(case: Case) -> None:
    model = build(case, 'gradirn_unet').eval()
    inputs = inputs_of(case, model)
    assert model.backbone.spec.ndim == case.info['constructor']['ndim']
    with torch.no_grad():
        fields = model(inputs)
    displacement = fields.displacement / kappa(fields.displacement)
    assert set(case.arrays) == {'disp'}
    case.close('disp', displacement, rtol=1e-4, atol=1e-4)
    case.close('largest displacement', displacement.abs().max(), case.info['max_abs_disp'], rtol=1e-4, atol=1e-4)
