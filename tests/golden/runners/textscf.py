"""TextSCF: the head alone, the whole network, its training, and the prompts; through the converter."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmreg.converters import FAMILIES
from mmreg.models.base import FeatureSpec
from mmreg.models.flow_heads.textscf import TextSCFHead
from mmreg.models.integrators.identity import IdentityIntegrator
from mmreg.registry import REGISTRARS
from mmreg.spatial import warp
from mmreg.text import get_label_set, phrase
from mmreg.text.hashing import hash_vector
from mmreg.text.prompts import prompts_of
from tests.golden import fill
from tests.golden.harness import Case, runner

from .expressions import evaluate
from .inputs import at_stored
from .networks import check_parameters, published_weights

_FILL = {'fill': fill.fill, 'image': fill.image, 'labels': fill.labels, 'numpy.roll': np.roll}
_INTEGRATION = {
    0: ({'int_downsize': 1}, {'type': 'IdentityIntegrator'}),
    1: ({'int_downsize': 2}, {'type': 'ScalingSquaring', 'steps': 7}),
}
#: Later steps accumulate differences of float32 sums.
_TRACE = 1e-3


def embedding_of(case: Case) -> Tensor:
    """The stand-in for the text embeddings, ``(L, d)``."""
    return torch.from_numpy(
        np.asarray(evaluate(case.info['inputs']['text_embedding'].split(';')[0], _FILL), np.float32)
    )


def numbered(count: int) -> dict:
    """A label set of ``count`` rows."""
    return {'labels': {k: f'region {k}' for k in range(1, count)}}


def set_rows(head: TextSCFHead, embedding: Tensor) -> None:
    assert head.text is not None
    head.text.embedding.copy_(embedding)


@runner('textscf', lambda case: 'loss_mean_square' in case.info)
def head_alone(case: Case) -> None:
    text, embedding = case.info['inputs']['features'], embedding_of(case)
    batch, channels, shape = re.match(r'\(B=(\d+), (\d+), \*\[([\d, ]+)\]\)', text).groups()
    formula = re.search(r' is (image\(.*)$', text)[1]
    features = torch.from_numpy(
        np.stack(
            [
                np.stack([evaluate(formula, {**_FILL, 'b': b, 'c': c}) for c in range(int(channels))])
                for b in range(int(batch))
            ]
        )
    ).requires_grad_()
    formula = re.match(r'labels\(.*?\)', case.info['inputs']['fixed_segmentation'])[0]
    labels = torch.from_numpy(np.stack([evaluate(formula, {**_FILL, 'b': b})[None] for b in range(int(batch))]))
    ndim = len(shape.split(','))
    spec = FeatureSpec(ndim, (int(channels),), ((2,) * ndim,), False, (2,) * ndim, (2,) * ndim)
    head = TextSCFHead(
        spec,
        numbered(len(embedding)),
        {'type': 'RandomTextEmbedding', 'dim': embedding.shape[1]},
        hidden_dim=case.info['constructor']['in_cs (scp_dim)'],
    )
    published = {f'flow.{name}': value for name, value in published_weights(case).items()}
    weights = FAMILIES['textscf'].convert(published)
    head.load_state_dict({key.removeprefix('flow_head.'): value for key, value in weights.items()})
    set_rows(head, embedding)
    check_parameters(case, head, {})
    fields = head([features], IdentityIntegrator(), {'fixed_prompt': labels, 'fixed': labels})
    assert fields.displacement.shape == (int(batch), ndim, *labels.shape[2:])
    flow = 2 * head.estimate(features, labels[(..., *[slice(None, None, 2)] * ndim)])
    loss = (flow**2).mean()
    loss.backward()
    results = {'flow': flow, 'filters': head.filter_table(), 'grad_features': features.grad}
    for key, expected in case.arrays.items():
        case.close(key, stored(key, results[key], expected))
    case.close('loss', loss, case.info['loss_mean_square'])
    gradients = {f'flow_head.{name}': parameter.grad for name, parameter in head.named_parameters()}
    _check_norms(case, case.info['grad_norms'], gradients, 'flow.')


def stored(key: str, value: Tensor, expected: np.ndarray) -> Tensor:
    """``value`` at the voxels that were stored; the filters have no voxels."""
    return value if key == 'filters' else at_stored(value, expected)


def _check_norms(case: Case, expected: dict, gradients: dict[str, Tensor | None], prefix: str = '') -> None:
    """Norms of all gradients under their published names; None where published code has none."""
    family = FAMILIES['textscf']
    for name, norm in expected.items():
        key = f'{prefix}{name}'
        if norm is None:
            assert family.unused([key]), f'{case.id}: {name} has no gradient, and we use it'
            continue
        (ours,) = family.convert({key: torch.zeros(())})
        case.close(f'gradient of {name}', gradients[ours].norm(), norm, rtol=5e-4, atol=1e-6)


def build(case: Case, diffeomorphic: int, **losses: Any) -> torch.nn.Module:
    """Our model of the case with its published weights and embeddings."""
    family, embedding = FAMILIES['textscf'], embedding_of(case)
    published = published_weights(case)
    weights = family.convert(published)
    config = family.model(weights)
    head, integrator = _INTEGRATION[diffeomorphic]
    config['flow_head'] |= {
        **head,
        'label_set': numbered(len(embedding)),
        'text_embedding': {'type': 'RandomTextEmbedding', 'dim': embedding.shape[1]},
    }
    constructor = case.info['constructor']
    assert config['backbone']['channels'] == constructor['start_channel']
    assert config['backbone']['kernel'] == constructor.get('lk_size', config['backbone']['kernel'])
    assert config['flow_head']['hidden_dim'] == constructor['scp_dim']
    model = REGISTRARS.build({'type': 'Registrar', **config, 'integrator': integrator, **losses})
    assert not model.load_state_dict(weights, strict=False).unexpected_keys
    set_rows(model.flow_head, embedding)
    if 'n_parameters' in case.info:
        check_parameters(case, model, {key: published[key] for key in family.unused(published) if 'grid' not in key})
    return model


@runner('textscf', lambda case: 'diff_int' in case.info.get('constructor', {}))
def network(case: Case) -> None:
    inputs = case.info['inputs']
    images = {
        name: fill.batch(*[fill.image(seed, inputs[name]['shape']) for seed in inputs[name]['image_seeds']])
        for name in ('moving', 'fixed')
    }
    told = inputs['fixed_segmentation']
    labels = fill.batch(*[fill.labels(seed, told['shape'], told['n']) for seed in told['label_seeds']])
    model = build(case, case.info['constructor']['diff_int']).eval()
    head = model.flow_head
    with torch.no_grad():
        fields = model({**images, 'fixed_prompt': labels})
        features = model.backbone(images['fixed'], images['moving'])[0]
        rows = labels[(..., *[slice(None, None, 2)] * (labels.dim() - 2))]
        flow = 2 * head.estimate(features, rows)
        results = {
            'features': features,
            'filters': head.filter_table(),
            'scf_flow': flow - head.flow(features),
            'head_flow': flow,
            'preint_flow': fields.velocities[0],
            'integrated_half': model.integrator(flow / 2),
            'flow': fields.displacement,
            'warped': warp(images['moving'], fields.displacement),
        }
    assert set(case.arrays) == set(case.info['outputs'])
    for key, expected in case.arrays.items():
        case.close(key, stored(key, results[key], expected))
    head.fold()
    with torch.no_grad():
        torch.testing.assert_close(
            model({**images, 'fixed_prompt': labels}).displacement, results['flow'], **case.tolerance
        )


@runner('textscf', lambda case: 'runs' in case.info)
def training(case: Case) -> None:
    """The published objective, all its gradients, and steps of Adam (amsgrad)."""
    names = {**_FILL, 'shape': tuple(case.info['shape'])}
    inputs = {
        name: torch.from_numpy(np.stack([evaluate(_call(one), names) for one in _texts(text)]))[:, None]
        for name, text in case.info['inputs'].items()
        if name != 'text_embedding'
    }
    for name, run in case.info['runs'].items():
        model = build(case, int(name.removeprefix('diff_int=')), **_objective(case))
        inputs['fixed_prompt'] = inputs['fixed_labels']
        rate = float(re.search(r'lr ([\d.e-]+)', case.info['what'])[1])
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, amsgrad=True)
        for step, expected in enumerate(run['loss_before_step']):
            terms = model(inputs, mode='loss')
            total = sum(value for key, value in terms.items() if key.startswith('loss_'))
            found = {'mse': terms['mse'], 'grad3d_l2': terms['smooth'], 'dice_loss': terms['dice'], 'total': total}
            assert set(expected) == set(found)
            for key, value in expected.items():
                case.close(f'{name} {key} before step {step}', found[key], value, rtol=_TRACE if step else 1e-4)
            optimizer.zero_grad()
            total.backward()
            if step == 0:
                gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
                _check_norms(case, run['grad_norms_first_step'], gradients)
            optimizer.step()


def _texts(text: str | list[str]) -> list[str]:
    """One text per sample."""
    return [text] if isinstance(text, str) else text


def _call(text: str) -> str:
    """The expression at the beginning of a description; ``image(1)`` has the case's shape."""
    text = re.sub(r'\s\([^()]*[a-z]{3}[^()]*\)$', '', text)
    return re.sub(r'image\((\d+)\)', r'image(\1, shape)', text)


def _objective(case: Case) -> dict:
    """Losses by the weights that the case states, such as ``1.0*MSE + 0.1*Grad3d-l2 + 1.0*Dice``."""
    image, field, dice = (
        float(re.search(rf'([\d.]+)\*{name}', case.info['what'])[1]) for name in ('MSE', 'Grad3d-l2', 'Dice')
    )
    return {
        'losses': {
            'mse': {'type': 'MSE', 'weight': image},
            'smooth': {'type': 'Diffusion', 'penalty': 'l2', 'weight': field},
            'dice': {'type': 'Dice', 'squared': True, 'absent': 'zero', 'weight': dice},
        },
        'label_values': len(embedding_of(case)),
    }


@runner('textscf', lambda case: 'rows' in case.info and 'template' in case.info)
def prompts(case: Case) -> None:
    info = case.info
    dim, scale = (int(re.search(rf'{word} (\d+)', info['what'])[1]) for word in ('dim', 'scale'))
    ours = get_label_set('oasis35')
    labels = get_label_set({'labels': {row['label']: row['name'] for row in info['rows']}})
    assert all(ours.labels.get(value) == name for value, name in labels.labels.items())
    if len(info['rows']) == len(ours.labels) - 1:
        assert ours.template == info['template'] and prompts_of(ours) == prompts_of(labels, info['template'])
    for row, prompt in zip(info['rows'], prompts_of(labels, info['template'])):
        assert prompt == row['prompt'] and phrase(row['name']) in prompt
        key = next(name for name in row if name.startswith('hash_'))
        assert key.startswith(f'hash_{dim}_')
        case.close(f'hash of {prompt!r}', hash_vector(prompt, dim, scale)[: len(row[key])], row[key], rtol=0, atol=1e-8)
        assert row['clip_tokens'][0] == 49406 and row['clip_tokens'][-1] == 49407
