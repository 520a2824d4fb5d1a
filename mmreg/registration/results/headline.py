"""The main numbers of a result as texts, with the digits they deserve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Metric -> its title, the format of its numbers and their unit, in the order of importance.
_NUMBERS = {
    'dice': ('Dice', '.3f', ''), 'hd95': ('HD95', '.2f', ' mm'), 'tre': ('TRE', '.2f', ' mm'),
    'lncc': ('local correlation', '.3f', ''), 'nmi': ('mutual information', '.3f', ''),
    'minimised': ('minimised', '.3g', ''),
}  # fmt: skip


def changes(metrics: Mapping[str, Any], arrow: str = '->') -> dict[str, str]:
    """``0.612 -> 0.801`` for each main metric in ``metrics`` (``before`` and ``after`` each), by its name."""
    return {
        name: f'{metrics[name]["before"]:{form}} {arrow} {metrics[name]["after"]:{form}}{unit}'
        for name, (_, form, unit) in _NUMBERS.items()
        if name in metrics
    }


def facts(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The same under their titles, and the folds, for a page."""
    found = {_NUMBERS[name][0]: text for name, text in changes(metrics, '\u2192').items()}
    return found | _field(metrics)


def headline(case_id: str, metrics: Mapping[str, Any]) -> str:
    """The pair and its main numbers in one line."""
    parts = {**changes(metrics), **_field(metrics)}
    return '   '.join([case_id, *(f'{name} {text}' for name, text in parts.items())])


def _field(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What the field is like: folds, range of the Jacobian determinant, how far it moves."""
    found = {}
    if 'folds_percent' in metrics:
        found['folds'] = share(metrics['folds_percent']['after'])
    if 'jacobian_min' in metrics:
        found['Jacobian'] = f'{metrics["jacobian_min"]["after"]:.2f} to {metrics["jacobian_max"]["after"]:.2f}'
    affine = metrics.get('affine_mm') or {'mean': 0.0, 'max': 0.0}
    if affine['max']:
        found['affine'] = _lengths(affine['mean'], affine['max'])
    if 'displacement_mean_mm' in metrics:
        mean, largest = (metrics[f'displacement_{which}_mm']['after'] for which in ('mean', 'max'))
        if largest or not affine['max']:  # nothing but an affine: it is all that moves
            found['moves'] = _lengths(mean, largest)
    if 'inverse_residual_mm' in metrics:
        found['inverse error'] = millimetres(metrics['inverse_residual_mm']['mean'])
    return found


def _lengths(mean: float, largest: float) -> str:
    return f'{millimetres(mean)} on average, {millimetres(largest)} at most'


def share(percent: float) -> str:
    """A percentage of voxels: none is told from few."""
    return '< 0.001 %' if 0 < percent < 0.001 else f'{percent:.3g} %'


def millimetres(value: float) -> str:
    """A length with the digits that a reader needs."""
    if value < 0.001:
        return '0 mm' if value == 0 else '< 0.001 mm'
    return f'{value:.3f} mm' if value < 0.1 else f'{value:.2f} mm' if value < 10 else f'{value:.1f} mm'
