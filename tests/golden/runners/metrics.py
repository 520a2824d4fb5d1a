"""Golden cases of metrics: EOIR, GraDIRN, digital diffeomorphism."""

from __future__ import annotations

import re

import numpy as np
import torch

from mmreg.evaluation.functional import contours, digital, field_error, jacobian, landmarks, overlap, surface
from mmreg.spatial import jacobian_determinant, warp_labels
from mmreg.spatial.simplices import simplex_determinants
from tests.golden.fill import flow, image, labels
from tests.golden.harness import Case, runner

from .calls import array, arrays
from .published_measures import determinant_roughness, region_box

EXACT = {'rtol': 1e-6, 'atol': 1e-6}


def _warped(label_map: np.ndarray, field: np.ndarray) -> np.ndarray:
    return warp_labels(torch.from_numpy(label_map)[None, None], torch.from_numpy(field)[None])[0, 0].numpy()


@runner('eoir', 'metrics')
def eoir_metrics(case: Case) -> None:
    values = case.info['values']
    _eoir_dice(case, values)
    for name in ('smooth', 'folding'):
        _eoir_jacobian(case, name, values[f'jacobian_{name}'])
    reversed_sign = jacobian.determinant_map(-torch.from_numpy(_eoir_field(case, 'smooth')), crop=0)
    expected = values['jacobian_reference_sign']
    case.close('reference sign', reversed_sign.double().mean(), expected['mean'], **EXACT)
    assert jacobian.fold_count(reversed_sign) == expected['count_nonpositive']
    for key in values:
        if key.startswith('hd95_spacing_'):
            _eoir_hd95(case, key, values[key])


def _eoir_field(case: Case, name: str) -> np.ndarray:
    return array(case.info['values'][f'jacobian_{name}']['args'], case.info['shape'])


def _eoir_dice(case: Case, values: dict) -> None:
    shape, voi = case.info['shape'], case.info['VOI']
    entry = values['dice_val_VOI']
    field, source = arrays(entry['args'], shape)
    factor = int(re.search(r'VOI\[(\d+)\*', entry['args']).group(1))
    source = np.asarray(voi)[factor * source]
    score = overlap.dice(_warped(source, field), source, voi, epsilon=1e-5, absent=0.0).mean()
    case.close('dice_val_VOI', score, entry['value'], **EXACT)

    text = values['dice_val']['args']
    source, field = arrays(text, shape)
    classes = int(re.search(r'all (\d+) classes', text).group(1))
    more = int(re.search(r'with (\d+) classes', values['dice_eval_class_absent']['args']).group(1))
    moved = _warped(source, field)
    scores = overlap.dice(moved, source, range(more), epsilon=1e-5, absent=0.0)
    case.close('dice_val', scores[:classes].mean(), values['dice_val']['value'], **EXACT)
    case.close('dice_val0', scores[1:classes].mean(), values['dice_val0']['value'], **EXACT)
    case.close('dice_eval', scores[1:classes].mean(), values['dice_eval']['value'], **EXACT)
    case.close('dice_eval', scores[1:classes], values['dice_eval']['individual'], **EXACT)
    case.close('dice_eval_class_absent', scores[1:].mean(), values['dice_eval_class_absent']['value'], **EXACT)


def _eoir_jacobian(case: Case, name: str, expected: dict) -> None:
    field = torch.from_numpy(_eoir_field(case, name))
    whole, cropped = jacobian.determinant_map(field, crop=0), jacobian.determinant_map(field, crop=2)
    case.close(f'jac_npgradient_{name}', whole)
    case.close(f'jac_cropped_{name}', cropped)
    for found, key in ((whole, 'npgradient'), (cropped, 'cropped')):
        case.close(f'{name} {key} mean', found.double().mean(), expected[key]['mean'], **EXACT)
        assert jacobian.fold_count(found) == expected[key]['count_nonpositive']
    case.close(f'{name} min', whole.min(), expected['npgradient']['min'], rtol=1e-5, atol=1e-5)
    fraction = jacobian.fold_count(cropped) / whole.numel()
    case.close(f'{name} fraction', fraction, expected['cropped']['fraction_nonpositive_of_full_grid'], **EXACT)
    spread = jacobian.sd_log_jacobian(cropped, convention='learn2reg', clip=(1e-8, 1e8))
    case.close(f'{name} sdlogj', spread, expected['cropped']['sdlogj'], **EXACT)


def _eoir_hd95(case: Case, key: str, expected: dict) -> None:
    moving, field, fixed = arrays(expected['args'], case.info['shape'])
    spacing = [float(s) for s in key.removeprefix('hd95_spacing_').split('_')]
    classes = range(1, len(expected['per_class']) + 1)
    moved = _warped(moving, field)
    found = surface.label_surface_distances(fixed, moved, classes, spacing)
    per_class = [surface.robust_hausdorff(distances) for distances in found]
    case.close(key, per_class, expected['per_class'], **EXACT)
    case.close(key, np.mean(per_class), expected['value'], **EXACT)
    binary = overlap.dice(moved, fixed, classes, epsilon=1e-7)
    case.close('dice_binary', binary, case.info['values']['dice_binary']['value'], **EXACT)


@runner('gradirn', 'metrics')
def gradirn_metrics(case: Case) -> None:
    values = case.info['values']
    stacks = {2: _gradirn_labels(case, 2), 3: _gradirn_labels(case, 3)}
    for name in values:
        if name.startswith('seg2d'):
            prediction, target = (stack.copy() for stack in stacks[2])
            if name == 'seg2d_empty_classes':
                for volume, words in ((prediction, 'prediction'), (target, 'ground truth')):
                    label, place = _noted(case, rf'empty_classes: .*in the {words} class (\d+) of slice (\d+)')
                    volume[place][volume[place] == label] = 0
            elif missing := re.fullmatch(r'seg2d_class(\d+)_missing_in_prediction', name):
                prediction[prediction == int(missing.group(1))] = 0
            for variant, expected in values[name].items():
                _gradirn_segmentation(case, f'{name} {variant}', prediction, target, expected, ndim=2)
        elif name.startswith('seg3d'):
            spacing = [float(s) for s in name.removeprefix('seg3d_spacing_').split('_')]
            for variant, expected in values[name].items():
                _gradirn_segmentation(case, f'{name} {variant}', *stacks[3], expected, ndim=3, spacing=spacing)
    for ndim in (2, 3):
        _gradirn_displacement(case, ndim)


def _noted(case: Case, pattern: str) -> list[int]:
    """Numbers that a note of the case gives in words."""
    return next([int(n) for n in m.groups()] for note in case.info['notes'] if (m := re.search(pattern, note)))


def _gradirn_labels(case: Case, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    inputs, (classes,) = case.info['inputs'], _noted(case, r'labels\([^)]*, (\d+)\)')
    shape, roll = inputs[f'shape{ndim}'], inputs[f'roll{ndim}']
    target = np.stack([labels(seed, shape, classes) for seed in inputs[f'lab{ndim}']])
    return np.roll(target, roll, tuple(range(1, ndim + 1))), target


def _gradirn_segmentation(
    case: Case, name: str, prediction: np.ndarray, target: np.ndarray, expected: dict, ndim: int, spacing=None
) -> None:
    # A stack of 2-D slices counts as one volume, unless the name says otherwise; 3-D volumes are averaged.
    one_volume = ndim == 2 and not name.endswith('per_slice_dice')
    entries = [(prediction, target)] if one_volume else list(zip(prediction, target))
    classes = contours.class_values(prediction)
    scores = np.mean([overlap.dice(p, t, classes, epsilon=1e-7, absent=0.0) for p, t in entries], axis=0)
    found = {'dice': dict(zip(classes, scores))}
    if 'asd_avg' in expected:
        if spacing is None:
            numbers = [float(n.replace('p', '.')) for n in name.split('spacing_')[1].split('_')]
            spacing = numbers * (ndim // len(numbers))
        distances = contours.class_distances(
            prediction, target, spacing, per_slice=True, reverse_spacing='published' in name
        )
        found['hd'] = {value: distances[value].hausdorff for value in classes}
        found['asd'] = {value: distances[value].average for value in classes}
    for key, value in expected.items():
        measure, which = key.split('_', 1)
        if which == 'avg':
            actual = np.nanmean(list(found[measure].values()))
        else:
            actual = found[measure][int(float(which.removeprefix('class_')))]
        case.close(f'{name} {key}', actual, np.nan if value is None else value, **EXACT)


def _gradirn_displacement(case: Case, ndim: int) -> None:
    inputs, expected = case.info['inputs'], case.info['values'][f'disp_{ndim}d']
    shape, amplitude, seeds = expected['shape'], expected['amplitude'], inputs['flow']
    field, reference = (
        torch.from_numpy(np.stack([flow(seed + more, shape, amplitude) for seed in seeds]))
        for more in (0, *_noted(case, r'flow\(seed\+(\d+)'))
    )
    region = np.zeros(shape, np.float32)
    region[tuple(slice(*edge) for edge in expected['roi'])] = 1
    box = region_box(region, whole=False)
    assert [[edge.start, edge.stop] for edge in box] == expected['roi_bbox']
    cut = (slice(None), slice(None), *box)
    masked = [(f * torch.from_numpy(region))[cut] for f in (field, reference)]
    # The published code pairs component i with the axis that is i-th from the end.
    _gradirn_regularity(case, field.flip(1), expected['published'])
    _gradirn_regularity(case, masked[0].flip(1), expected['published_with_roi'])
    determinants = _gradirn_regularity(case, field, expected['corrected_jacobian'])
    _gradirn_errors(case, field, reference, expected['published'])
    _gradirn_errors(case, *masked, expected['published_with_roi'])
    stored = expected['corrected_det']
    centre = tuple(n // 2 for n in shape)
    for key, value in (
        ('mean', determinants.double().mean()),
        ('min', determinants.min()),
        ('max', determinants.max()),
        ('at_origin', determinants[0][(0,) * ndim]),
        ('at_centre', determinants[0][centre]),
    ):
        case.close(f'corrected_det {key}', value, stored[key], rtol=1e-5, atol=1e-5)
    images = [
        np.stack([image(seed + more, shape) for seed in seeds]) for more in (0, *_noted(case, r'image\(seed\+(\d+)'))
    ]
    difference = torch.from_numpy(images[0] - images[1])
    root = field_error.root_mean_square
    case.close('rmse_image', root(difference), case.info['values'][f'rmse_image_{ndim}d'], **EXACT)
    inside = difference[(slice(None), *box)]
    case.close('rmse_image_roi', root(inside), case.info['values'][f'rmse_image_roi_{ndim}d'], **EXACT)


def _gradirn_regularity(case: Case, field: torch.Tensor, expected: dict) -> torch.Tensor:
    determinants = jacobian_determinant(field, scheme='central_replicate')
    found = {
        'negative_det_J': float((determinants < 0).double().mean()),
        'mag_grad_det_J': np.mean([determinant_roughness(one) for one in determinants]),
        'std_log_det_J': np.mean([jacobian.sd_log_jacobian(one) for one in determinants]),
    }
    for key, value in found.items():
        case.close(key, value, expected[key], **EXACT)
    return determinants


def _gradirn_errors(case: Case, field: torch.Tensor, reference: torch.Tensor, expected: dict) -> None:
    errors = field_error.end_point_errors(field, reference)
    case.close('aee', errors.double().mean(), expected['aee'], **EXACT)
    case.close('rmse_disp', field_error.root_mean_square(errors), expected['rmse_disp'], **EXACT)


@runner('pyramid_designs', 'diffeomorphism_metrics')
def diffeomorphism_metrics(case: Case) -> None:
    inputs, results = case.info['inputs'], case.info['results']
    shape = inputs['shape']
    mask_text, threshold = inputs['mask'].rsplit('>', 1)
    level = float(re.match(r'\s*([\d.]+)', threshold).group(1))
    mask = torch.from_numpy(array(mask_text, shape) > level)
    for name in ('smooth', 'folded', 'strong', 'zero'):
        if name in results:
            field = np.zeros((3, *shape), np.float32) if name == 'zero' else array(inputs[name], shape)
            _diffeomorphism(case, name, torch.from_numpy(field), mask, results[name])
    flat = results['sdlogjac2d']
    determinants = jacobian.determinant_map(torch.from_numpy(array(flat['flow'], flat['shape'])))
    case.close('sdlogjac2d', jacobian.sd_log_jacobian(determinants, convention='learn2reg'), flat['std'])
    assert jacobian.fold_count(determinants) == flat['non_positive_count']
    _keypoints(case, array(inputs['smooth'], shape), results['tre'])


def _diffeomorphism(case: Case, name: str, field: torch.Tensor, mask: torch.Tensor, expected: dict) -> None:
    tolerance = {'rtol': 1e-4, 'atol': 1e-4}
    for where, chosen in (('all', None), ('mask', mask)):
        found, stored = digital.digital_diffeomorphism(field, chosen), expected[where]
        assert abs(found.voxels - stored['non_diff_voxels']) <= 2
        assert abs(found.simplices - stored['non_diff_tetrahedra']) <= 2
        assert found.total == stored['total_voxels']
        case.close(f'{name} {where} volume', found.volume, stored['non_diff_volume'], **tolerance)
        percent = stored['non_diff_volume_percent']
        case.close(f'{name} {where} percent', found.volume_percent, percent, **tolerance)
        if where == 'mask' and f'volume_map_{name}' in case.arrays:
            case.close(f'volume_map_{name}', found.volume_map)
    maps = {name: determinant(field[None])[0] for name, determinant in simplex_determinants(3).items()}
    signed = [m for key, m in maps.items() if key[0] in '+-']
    maps['0x0y0z'] = jacobian_determinant(field[None], scheme='central_cropped')[0]
    maps['all J_i>0'] = torch.stack(signed).gt(0).all(0).float()
    for key, value in expected['determinant_sums'].items():
        slack = {'rtol': 0, 'atol': 2} if key == 'all J_i>0' else {'rtol': 1e-4, 'atol': 1e-2}
        case.close(f'{name} sum {key}', maps[key].double().sum(), value, **slack)
        case.close(f'{name} min {key}', maps[key].min(), expected['determinant_minima'][key], **tolerance)
    cut = (slice(2, -2),) * 3
    determinants = jacobian.determinant_map(field)
    stored = expected['sdlogjac']
    case.close(f'{name} sdlogjac', jacobian.sd_log_jacobian(determinants, convention='learn2reg'), stored['std'])
    assert abs(jacobian.fold_count(determinants) - stored['non_positive_count']) <= 2
    assert abs(jacobian.fold_count(determinants, mask[cut]) - stored['non_positive_count_mask']) <= 2


def _keypoints(case: Case, field: np.ndarray, expected: dict) -> None:
    uniform = re.search(r'default_rng\((\d+)\)\.uniform\(([\d.]+), shape-([\d.]+), *\(([^)]*)\)', expected['fixed'])
    normal = re.search(r'default_rng\((\d+)\)\.normal\(([\d.]+), *([\d.]+)', expected['moving'])
    size = tuple(int(n) for n in uniform.group(4).split(','))
    high = np.asarray(field.shape[1:]) - float(uniform.group(3))
    fixed = np.random.default_rng(int(uniform.group(1))).uniform(float(uniform.group(2)), high, size)
    fixed = fixed.astype(np.float32)
    noise = np.random.default_rng(int(normal.group(1))).normal(float(normal.group(2)), float(normal.group(3)), size)
    moving = (fixed + noise).astype(np.float32)
    spacing = expected['spacing']
    errors = [landmarks.target_errors(landmarks.displace(f, field), m, spacing) for f, m in zip(fixed, moving)]
    case.close('tre', np.stack(errors), expected['values'])
