"""EOIR: networks and training traces, through the converter of its checkpoints."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

import numpy as np
import torch
from mmengine.optim import OptimWrapper

from mmreg.converters import FAMILIES
from mmreg.registry import REGISTRARS
from tests.golden import fill
from tests.golden.harness import Case, runner

from .inputs import at_stored


def variant(case: Case) -> str:
    """Which of the three published networks a case was made with: ``EOIR``, ``EOIR_ACDC`` or ``EOIR_OASIS``."""
    named = re.search(r'EOIR_(ACDC|OASIS)', case.info['what'])
    if named:
        return named.group(0)
    return 'EOIR_ACDC' if case.info.get('config', {}).get('inplane') else 'EOIR'


def model_config(case: Case, weights: Mapping[str, torch.Tensor]) -> dict:
    """Our model for a published constructor: sizes from the weights, the rest from the arguments."""
    arguments, name = case.info['constructor'], variant(case)
    config = FAMILIES['eoir'].describe(weights)
    config['backbone']['factors'] = [2, 2, 1] if name == 'EOIR_ACDC' else 2
    config['flow_head']['scale_all_axes'] = name == 'EOIR_ACDC'
    integrate = arguments.get('is_int', 0 if name == 'EOIR_OASIS' else 1)
    config['integrator'] = {'type': 'ScalingSquaring'} if integrate else {'type': 'IdentityIntegrator'}
    return {'type': 'Registrar', **config}


def published_weights(shapes: Mapping[str, tuple], scale: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """Weights by their published names."""
    return {
        name: torch.from_numpy(fill.fill(name, shape) * np.float32(scale.get(name, 1.0)))
        for name, shape in shapes.items()
    }


def parse_inputs(texts: list[str] | str) -> torch.Tensor:
    """``['image(1, (32, 32, 48))', ...]`` to a batch ``(N, 1, *spatial)``; integer for labels."""
    texts = [texts] if isinstance(texts, str) else texts
    return fill.batch(*[_call(text) for text in texts])


def _call(text: str) -> np.ndarray:
    call = ast.parse(text, mode='eval').body
    function = {'image': fill.image, 'labels': fill.labels, 'flow': fill.flow}[call.func.id]
    options = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    return function(*[ast.literal_eval(argument) for argument in call.args], **options)


@runner('eoir', lambda case: '.forward(' in str(case.info.get('what')))
def forward_pass(case: Case) -> None:
    published = published_weights({name: tuple(shape) for name, shape in case.info['state_dict']}, case.info['scale'])
    weights = FAMILIES['eoir'].convert(published)
    model = REGISTRARS.build(model_config(case, weights)).eval()
    model.load_state_dict(weights)
    inputs = {key: parse_inputs(case.info['inputs'][key]) for key in ('fixed', 'moving')}
    with torch.no_grad():
        features = model.backbone(inputs['fixed'], inputs['moving'])
        fields = model(inputs)
    results = {f'pos_flow_{level}': u for level, u in enumerate(fields.displacements)}
    results |= {f'int_flow_{level}': v for level, v in enumerate(fields.velocities)}
    for level, pair in enumerate(features):
        results[f'fea_fixed_dw{level}'], results[f'fea_moving_dw{level}'] = pair
    for key, expected in case.arrays.items():
        case.close(key, at_stored(results[key], expected, case.info.get('stored_stride')))
    for key, stats in case.info['stats'].items():
        assert list(results[key].shape) == stats['shape']
        case.close(key, results[key].abs().max(), stats['max_abs'], rtol=1e-3)


@runner('eoir', 'train_')
def training_trace(case: Case) -> None:
    info, setup = case.info, case.info['config']
    published = published_weights(_published_shapes(case), info['scale'])
    weights = FAMILIES['eoir'].convert(published)
    config = model_config(case, weights)
    config |= training_config(case, setup)
    model = REGISTRARS.build(config).train()
    model.load_state_dict(weights)
    inputs = {key: _training_input(case, text) for key, text in info['inputs'].items()}
    check_first_step(case, model, inputs)
    optimizer = torch.optim.Adam(model.parameters(), lr=setup['lr'], weight_decay=0, amsgrad=True)
    losses = [
        model.train_step({'inputs': inputs, 'data_samples': None}, OptimWrapper(optimizer))['loss']
        for _ in info['loss_per_step']
    ]
    case.close('loss_per_step', torch.stack([torch.as_tensor(v) for v in losses]), info['loss_per_step'])


def training_config(case: Case, setup: dict) -> dict:
    """Objective of a published training script."""
    levels = [2.0**-level for level in range(setup['levels'])]
    if setup['sim'].startswith('ncc'):
        windows = ([int(w) for w in setup['sim'][3:]] + [int(setup['sim'][-1])] * 5)[: len(levels)]
        similarity = {'type': 'LNCC', 'form': 'squared', 'per_level': {'window': windows}}
    else:
        assert setup['sim'] == 'mse', setup['sim']
        similarity = {'type': 'MSE'}
    losses = {
        'similarity': {**similarity, 'weight': setup['sim_w'], 'levels': levels},
        'smoothness': {
            'type': 'Diffusion',
            'penalty': setup['penalty'],
            'weight': setup['reg_w'],
            'levels': levels,
            'on': 'velocity',
        },
    }
    if setup.get('dsc_w'):
        losses['overlap'] = {'type': 'Dice', 'absent': 'zero', 'weight': setup['dsc_w'], 'levels': levels}
    anisotropic = variant(case) == 'EOIR_ACDC'
    pyramid = {'kernel': 'gaussian', 'factors': [2, 2, 1]} if anisotropic else {'kernel': 'eoir', 'factors': 2}
    return {'losses': losses, 'pyramid': pyramid, 'label_values': setup.get('num_classes')}


def check_first_step(case: Case, model: torch.nn.Module, inputs: dict) -> None:
    """Level terms, loss and the gradient norm of every parameter at the first step."""
    expected = case.info['first_step']
    fields = model(inputs)
    terms = model.objective.level_terms(fields, inputs)
    for key, name in (('reg_levels', 'smoothness'), ('sim_levels', 'similarity'), ('dice_levels', 'overlap')):
        if key in expected:
            case.close(key, torch.stack(terms[name]), expected[key])
    total = sum(v for k, v in model(inputs, mode='loss').items() if k.startswith('loss_'))
    case.close('loss', total, expected['loss'])
    total.backward()
    parameters = dict(model.named_parameters())
    tolerance = {'rtol': case.info['grad_norm_rtol'], 'atol': case.info['grad_norm_atol']}
    for name, norm in case.info['first_step_grad_norm'].items():
        ours = FAMILIES['eoir']._ours(name)
        if norm is not None and ours in parameters:
            case.close(f'gradient of {name}', parameters[ours].grad.norm(), norm, **tolerance)
    model.zero_grad()


def _published_shapes(case: Case) -> dict[str, tuple]:
    """Published parameter shapes, which the traces do not store: they follow from the constructor."""
    arguments = case.info['constructor']
    width, large = arguments['start_channel'], arguments.get('lk_size', 5)
    mapped = {'regular': 3, 'large': large, 'one': 1}
    encoder = [(1, width), (width, 2 * width), (2 * width, width)]
    oasis = variant(case) == 'EOIR_OASIS'
    if oasis:
        encoder.insert(2, (2 * width, 2 * width))
    shapes: dict[str, tuple] = {}
    for name in case.info['first_step_grad_norm']:
        branch = re.search(r'\.(regular|large|one)\.', name)
        kernel = mapped[branch.group(1)] if branch else 3
        if name.startswith('simple_encoder'):
            inner, outer = encoder[int(name.split('.')[1])]
        elif 'get_flow' in name:
            inner, outer = 27, 3
        elif re.search(r'disp_field_fea\.0\.', name):
            inner, outer = 2 * width, 2 * width
        else:
            inner, outer = 2 * width, 27
        if name.endswith('prelu.weight') or re.search(r'layer\.2\.weight$', name):
            shapes[name] = (1,)
        else:
            shapes[name] = (outer, inner, *[kernel] * 3) if name.endswith('weight') else (outer,)
    return shapes


def _training_input(case: Case, texts: list[str] | str) -> torch.Tensor:
    shape = repr(tuple(case.info['constructor']['img_size']))
    texts = [texts] if isinstance(texts, str) else texts
    return parse_inputs([re.sub(r'\bshape\b', shape, text) for text in texts])
