"""Spine system: both networks with their registration head, through the converter; label transforms of the data."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from mmreg.converters import FAMILIES
from mmreg.datasets.transforms.grid import foreground_box, grow_to_multiple
from mmreg.datasets.transforms.vertebrae import CropVertebrae, common_labels, keep_labels, merge_labels, one_hot
from mmreg.models import Registrar
from mmreg.registry import REGISTRARS
from mmreg.spatial import warp
from tests.golden import fill
from tests.golden.harness import Case, runner

from .calls import array
from .inputs import at_stored, batched, seeds_of
from .networks import published_weights


@runner('spine_biomech', lambda case: {'velocity', 'fwd_flow'} <= set(case.info.get('arrays', {})))
def registration_network(case: Case) -> None:
    model = build(case)
    images = {name: _images(case, name) for name in ('source', 'target')}
    bodies = {name: _one_hot(case, name) for name in ('source', 'target')}
    assert set(case.arrays) == set(case.info['arrays'])
    with torch.no_grad():
        fields = model({'fixed': images['target'], 'moving': images['source']})
    flows = {'source': fields.displacement}
    results = {'velocity': fields.velocities[0], 'fwd_flow': fields.displacement}
    if case.info['head']['bidir']:
        flows['target'] = fields.inverse_displacements[0]
        results['bck_flow'] = flows['target']
    for name, flow in flows.items():
        results[f'y_{name}'] = warp(images[name], flow)
        results[f'y_{name}_oh'] = warp(bodies[name], flow)[:, 1:]
    tolerance = {name: case.info['tolerance'][name] for name in ('atol', 'rtol')}
    for key, shape in case.info['arrays'].items():
        value = at_stored(results[key], shape)
        assert list(value.shape) == shape, f'{case.id} {key}: {tuple(value.shape)}'
        case.close(key, value, **tolerance)


def build(case: Case) -> Registrar:
    """Our model with the case's weights and head, from what a checkpoint file would hold."""
    family, head = FAMILIES['spine'], case.info['head']
    weights = family.convert(published_weights(case))
    config = family.model(weights)
    stride, scale = config['flow_head']['int_downsize'], head['resize_scale']
    assert stride == scale, f'{case.id}: the weights end at 1/{stride}, the head resizes by {scale}'
    config['integrator']['steps'] = head['int_steps']
    config['flow_head'] |= {'bidirectional': head['bidir'], 'int_downsize': 1 if head['resize_first'] else scale}
    model = REGISTRARS.build({'type': 'Registrar', **config}).eval()
    model.load_state_dict(weights)
    assert sum(p.numel() for p in model.parameters()) == case.info['parameters'], case.id
    return model


def _images(case: Case, name: str) -> Tensor:
    return batched(case.info['inputs'][name], case.info['inputs']['shape'], case.info['inputs']['batch'])


def _one_hot(case: Case, name: str) -> Tensor:
    found = re.search(r'labels\([^)]*shape, (\d+)\)', case.info['inputs'][f'{name}_oh'])
    assert found, f'{case.id}: one-hot is {case.info["inputs"][f"{name}_oh"]!r}'
    count, inputs = int(found.group(1)), case.info['inputs']
    seeds = seeds_of(inputs[f'{name}_oh'], inputs['batch'])
    maps = [fill.labels(seed, inputs['shape'], count) for seed in seeds]
    return torch.from_numpy(np.stack([one_hot(labels, range(count)) for labels in maps])).float()


@runner('spine_biomech', lambda case: any('merge_mask_histogram' in r for r in _results(case)))
def label_transforms(case: Case) -> None:
    for name, stored in case.info['results'].items():
        masks = [_mask(stored[key], stored['ids']) for key in ('mr_mask', 'ct_mask')]
        multiple = int(re.search(r'multiples of (\d+)', case.info['notes']).group(1))
        _check_boxes(f'{case.id} {name}', masks, stored, multiple)
        _check_labels(f'{case.id} {name}', masks, stored)


def _results(case: Case) -> list[dict]:
    return [entry for entry in dict(case.info.get('results', {})).values() if isinstance(entry, dict)]


def _mask(text: str, ids: list[int]) -> np.ndarray:
    """``ids[labels(41, (40, 36, 44), 4)] inside [6:25,4:30,10:41], 0 outside``."""
    call, inside = re.fullmatch(r'ids\[(.*)\] inside \[(.*)\], 0 outside', text).groups()
    full = np.asarray(ids)[array(call, ())]
    box = tuple(slice(*map(int, part.split(':'))) for part in inside.split(','))
    mask = np.zeros_like(full)
    mask[box] = full[box]
    return mask


def _as_lists(box: tuple[np.ndarray, np.ndarray]) -> list[list[int]]:
    return [[int(n) for n in corner] for corner in box]


def _check_boxes(where: str, masks: list[np.ndarray], stored: dict, multiple: int) -> None:
    tight = [foreground_box(mask > 0) for mask in masks]
    grown = [grow_to_multiple(box, multiple) for box in tight]
    union = np.min([low for low, _ in grown], axis=0), np.max([high for _, high in grown], axis=0)
    found = {'union_box': _as_lists(union), 'divisible_box': _as_lists(grow_to_multiple(union, multiple))}
    for key, boxes in (('tight_box', tight), ('per_mask_box', grown)):
        found[key] = [_as_lists(box) for box in boxes]
    for key, value in found.items():
        assert value == stored[key], f'{where} {key}: {value}'
    fixed, moving = (mask[None] for mask in masks)
    sample = {
        'fixed': fixed,
        'moving': moving,
        'fixed_labels': fixed,
        'moving_labels': moving,
        'fixed_affine': np.eye(4),
    }
    cropped = CropVertebrae(multiple=multiple)(sample)
    low, high = stored['divisible_box']
    assert list(cropped['fixed'].shape[1:]) == [b - a for a, b in zip(low, high)], where
    assert cropped['fixed_affine'][:3, 3].tolist() == low, where
    assert int(cropped['fixed_labels'].sum()) == int(fixed.sum()), where


def _check_labels(where: str, masks: list[np.ndarray], stored: dict) -> None:
    classes = common_labels(*masks)
    assert classes == stored['common_classes'], where
    merged = merge_labels(*masks)
    histogram = {str(int(v)): int((merged == v).sum()) for v in np.unique(merged)}
    assert histogram == stored['merge_mask_histogram'], where
    weights = np.arange(merged.size, dtype=np.int64)
    checksum = (merged.reshape(-1).astype(np.int64) * weights % 1009).sum()
    assert float(checksum) == stored['merge_mask_weighted_sum'], f'{where}: weighted sum {checksum}'
    for mask, prefix in zip(masks, ('mr', 'ct')):
        hot = one_hot(mask, classes)
        assert str(hot.dtype) == stored['dtype'], where
        assert [int(c.sum()) for c in hot] == stored[f'{prefix}_oh_counts'], where
        assert np.array_equal(keep_labels(mask, classes) > 0, hot[1:].any(0)), where
        if f'{prefix}_oh_shape' in stored:
            assert list(hot.shape) == stored[f'{prefix}_oh_shape'], where
