"""Figures of an unrolled registration: the energy over its steps, and every step's field and warped image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from mmreg.spatial import resize_field, warp, warp_labels
from mmreg.utils.plain_words import plain_words

from .figure_marks import points
from .figures import save_png

_INCHES = 1.4


def energy_figure(
    steps: Sequence[Any], path: str | Path | None = None, *, title: str = '', dpi: int = 90
) -> np.ndarray:
    """Energy of the images before and after every step, on a line per level.

    Args:
        steps: Recorded steps with ``level``, ``before`` and ``after`` ``(N,)``; the mean over samples is drawn.
        path: PNG to write, atomically.
        title: Text above.
        dpi: Resolution.

    Returns:
        ``(height, width, 3)`` uint8.
    """
    figure = Figure((5.5, 3.2), dpi=dpi, layout='constrained')
    axis = figure.subplots()
    for level in sorted({step.level for step in steps}, reverse=True):
        own = [(k, step) for k, step in enumerate(steps) if step.level == level]
        values = [float(own[0][1].before.mean()), *[float(step.after.mean()) for _, step in own]]
        axis.plot([own[0][0], *[k + 1 for k, _ in own]], values, marker='o', markersize=3, label=f'level {level}')
    axis.set(xlabel='steps done', ylabel='energy of the images of the level', title=title)
    axis.legend(fontsize=points(figure))
    return _finish(figure, path)


def steps_figure(
    steps: Sequence[Any],
    fixed: Tensor,
    moving: Tensor,
    path: str | Path | None = None,
    *,
    fixed_labels: Tensor | None = None,
    moving_labels: Tensor | None = None,
    dpi: int = 80,
) -> np.ndarray:
    """One column per step; rows: fixed, moving, warped, difference, deformed grid and, with labels, the same of them.

    Each step is drawn on the full grid: its displacement is enlarged. Volumes: the middle slice of the last axis.
    Ranges come from the data.

    Args:
        steps: Recorded steps of one pair, ``displacement`` ``(1, ndim, *spatial_l)`` in voxels of the level.
        fixed, moving: ``(1, *spatial)``.
        path: PNG to write, atomically.
        fixed_labels, moving_labels: ``(1, *spatial)`` integer; drawn where both are given.
        dpi: Resolution.

    Returns:
        ``(height, width, 3)`` uint8.
    """
    size = list(fixed.shape[1:])
    fields = [resize_field(step.displacement[:1], size=size, values='aligned') for step in steps]
    columns = [_column(field, fixed, moving, fixed_labels, moving_labels) for field in fields]
    names = list(columns[0])
    figure = Figure((len(steps) * _INCHES + 0.6, len(names) * _INCHES + 0.3), dpi=dpi)
    table = figure.subplots(len(names), len(steps), squeeze=False)
    limits = {name: _limits(name, [column[name] for column in columns]) for name in names}
    for number, column in enumerate(columns):
        for row, name in enumerate(names):
            axis = table[row, number]
            _paint(axis, name, column[name], limits[name], size)
            axis.set_xticks([]), axis.set_yticks([])
            if number == 0:
                axis.set_ylabel(name, fontsize=points(figure))
        table[0, number].set_title(f'step {number + 1}\nlevel {steps[number].level}', fontsize=points(figure))
    figure.subplots_adjust(0.05, 0.01, 0.99, 0.91, 0.04, 0.04)
    return _finish(figure, path)


def _column(
    field: Tensor, fixed: Tensor, moving: Tensor, fixed_labels: Tensor | None, moving_labels: Tensor | None
) -> dict[str, np.ndarray]:
    warped = warp(moving[None].float(), field)[0]
    images = {'fixed': fixed[0], 'moving': moving[0], 'warped': warped[0], 'difference': warped[0] - fixed[0]}
    column = {name: _slice(image) for name, image in images.items()}
    column['grid'] = np.stack([_slice(component) for component in field[0]])
    if fixed_labels is not None and moving_labels is not None:
        moved = warp_labels(moving_labels[None], field)[0]
        wrong = (moved != fixed_labels).to(torch.uint8)
        named = {
            'fixed labels': fixed_labels, 'moving labels': moving_labels, 'warped labels': moved, 'label error': wrong
        }  # fmt: skip
        column |= {name: _slice(labels[0]) for name, labels in named.items()}
    return column


def _slice(volume: Tensor) -> np.ndarray:
    array = volume.detach().float().cpu().numpy()
    return array if array.ndim == 2 else array[..., array.shape[-1] // 2]


def _limits(name: str, images: Sequence[np.ndarray]) -> tuple[float, float]:
    low, high = min(float(i.min()) for i in images), max(float(i.max()) for i in images)
    if name == 'difference':
        extreme = max(-low, high, 1e-6)
        return -extreme, extreme
    return low, max(high, low + 1e-6)


def _paint(axis: Any, name: str, image: np.ndarray, limits: tuple[float, float], size: Sequence[int]) -> None:
    if name != 'grid':
        colours = 'RdBu' if name == 'difference' else 'viridis' if 'label' in name else 'gray'
        axis.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation='nearest')
        return
    step = max(1, round(min(size[:2]) / 20))
    rows, columns = np.meshgrid(*[np.arange(n) for n in image.shape[1:]], indexing='ij')
    y, x = rows + image[0], columns + image[1]
    for line in range(0, image.shape[1], step):
        axis.plot(x[line], y[line], 'k', linewidth=0.4)
    for line in range(0, image.shape[2], step):
        axis.plot(x[:, line], y[:, line], 'k', linewidth=0.4)
    axis.set(xlim=(0, image.shape[2] - 1), ylim=(image.shape[1] - 1, 0), aspect='equal')


def _finish(figure: Figure, path: str | Path | None) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    plain_words(figure)
    canvas.draw()
    rgb = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    if path is not None:
        save_png(rgb, path)
    return rgb
