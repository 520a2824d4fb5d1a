"""Where the numbers of a result say that it is no better than the start, or hardly possible; and what to try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmreg.registration.less_alike import both_fell

#: Scores that count as worse: metric -> (title, +1 where larger is better, smallest change that is told).
_SCORES = {'dice': ('Dice', 1, 0.005), 'hd95': ('HD95', -1, 0.1), 'tre': ('the landmark error', -1, 0.1)}
_UNITS = {'dice': '', 'hd95': ' mm', 'tre': ' mm'}
#: What was minimised may rise by this share of its value: the last smoothing, other voxels.
_RISE = 0.02
#: Smallest determinant that passes without a word: a voxel squeezed to a twentieth.
_SQUEEZED = 0.05
_TRY = 'try another --preset, a mask of what both images show (--fixed-mask), or --affine none'


def doubts_in_words(numbers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences for scores that got worse, similarity that fell, and voxels squeezed to almost nothing.

    Args:
        numbers: Metric -> ``before`` and ``after``, of one pair.
    """
    return [*_worse_scores(numbers), *_fallen_similarity(numbers), *_risen(numbers), *_squeezed(numbers)]


def _worse_scores(numbers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = []
    for name, (title, better, least) in _SCORES.items():
        if name not in numbers:
            continue
        before, after = numbers[name]['before'], numbers[name]['after']
        if (before - after) * better > least:
            digits = 3 if name == 'dice' else 2
            unit = _UNITS[name]
            found.append(
                f'worse than the start: {title} went from {before:.{digits}f} to {after:.{digits}f}{unit}; {_TRY}.'
            )
    return found


def _fallen_similarity(numbers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    pairs = [(numbers[name]['before'], numbers[name]['after']) for name in ('lncc', 'nmi') if name in numbers]
    if len(pairs) < 2 or not both_fell(*zip(*pairs)):
        return []
    (lncc_before, lncc), (nmi_before, nmi) = pairs
    return [
        'worse than the start: the images agree less than before the registration (local correlation '
        f'{lncc_before:.3f} to {lncc:.3f}, mutual information {nmi_before:.3f} to {nmi:.3f}); {_TRY}.'
    ]


def _risen(numbers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if 'minimised' not in numbers:
        return []
    before, after = numbers['minimised']['before'], numbers['minimised']['after']
    if not after > before + _RISE * max(abs(before), 1e-3):
        return []
    return [
        f'worse than the start: what was minimised rose from {before:.4g} to {after:.4g}; {_TRY}, or more iterations.'
    ]


def _squeezed(numbers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    least = numbers['jacobian_min']['after'] if 'jacobian_min' in numbers else 1.0
    if not 0 < least < _SQUEEZED:
        return []
    return [
        f'squeezed: the smallest Jacobian determinant is {least:.2g}, close to a fold; a smoother field may be truer.'
    ]
