"""Figures of results: box plots, trade-off curves. Written without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmreg.utils.atomic import replacing
from mmreg.utils.plain_words import plain_words

from .compare import ResultSet


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, atomically."""
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        plain_words(figure).savefig(temporary, format='png', dpi=130, bbox_inches='tight')


def box_plots(results: ResultSet, metric: str) -> Figure:
    """Box plots over cases, one group per item (label), one box per method; the mean over items first."""
    items = [None, *results.items(metric)]
    methods = results.methods
    figure = Figure(figsize=(max(5.0, 1.2 + 0.22 * len(items) * (len(methods) + 1)), 4.0))
    axes = figure.add_subplot()
    colours = _colours(len(methods))
    for number, method in enumerate(methods):
        data = [_finite(results.values(metric, method, item)) for item in items]
        where = [group * (len(methods) + 1) + number for group in range(len(items))]
        boxes = axes.boxplot(
            data,
            positions=where,
            widths=0.8,
            patch_artist=True,
            flierprops={'markersize': 2},
            medianprops={'color': 'black'},
            manage_ticks=False,
        )
        for box in boxes['boxes']:
            box.set_facecolor(colours[number])
        axes.plot([], [], 's', color=colours[number], label=method)
    middle = (len(methods) - 1) / 2
    labels = ['mean' if item is None else item for item in items]
    axes.set_xticks([group * (len(methods) + 1) + middle for group in range(len(items))], labels, rotation=90)
    axes.set_ylabel(metric)
    axes.grid(axis='y', alpha=0.3)
    axes.legend(loc='upper left', bbox_to_anchor=(1, 1), frameon=False)
    return figure


def trade_off(results: ResultSet, x: str, y: str) -> Figure:
    """One metric against another, one point per method with its standard deviation: accuracy against regularity."""
    figure = Figure(figsize=(5.0, 4.0))
    axes = figure.add_subplot()
    for colour, method in zip(_colours(len(results.methods)), results.methods):
        a, b = results.summary(x, method), results.summary(y, method)
        axes.errorbar(a.mean, b.mean, xerr=a.sd, yerr=b.sd, fmt='o', color=colour, capsize=2, label=method)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def curves(series: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], x: str, y: str) -> Figure:
    """Panels of curves: panel title -> curve name -> (x values, y values)."""
    figure = Figure(figsize=(4.5 * max(1, len(series)), 3.6))
    for number, (title, lines) in enumerate(series.items(), start=1):
        axes = figure.add_subplot(1, len(series), number)
        for colour, (name, (xs, ys)) in zip(_colours(len(lines)), lines.items()):
            axes.plot(xs, ys, 'o-', color=colour, label=name)
        axes.set(title=title, xlabel=x, ylabel=y)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.tight_layout()
    return figure


def dots(names: Sequence[str], panels: Mapping[str, Sequence[float | None]]) -> Figure:
    """One dot per name and panel, on logarithmic axes, largest of the first panel on top.

    Args:
        names: What the rows stand for.
        panels: Title -> a positive number per name; None where there is none.
    """
    first = next(iter(panels.values()))
    order = sorted(range(len(names)), key=lambda k: (first[k] or 0, names[k]))
    figure = Figure(figsize=(2.0 + 2.6 * len(panels), 1.0 + 0.22 * len(names)))
    shared = None
    for number, (title, values) in enumerate(panels.items(), start=1):
        axes = shared = figure.add_subplot(1, len(panels), number, sharey=shared)
        known = [(place, value) for place, k in enumerate(order) if (value := values[k])]
        axes.plot([value for _, value in known], [place for place, _ in known], 'o', color=_colours(1)[0])
        axes.set(title=title, xscale='log')
        axes.set_yticks(range(len(names)), [names[k] for k in order], fontsize=8)
        axes.tick_params(labelleft=number == 1)
        axes.grid(alpha=0.3)
    figure.tight_layout()
    return figure


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps['tab10'](number % 10) for number in range(count)]
