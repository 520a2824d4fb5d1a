"""Names of files and cases in figures: shown as they are, never read as formulas."""

from __future__ import annotations

from typing import Any


def plain_words(figure: Any) -> Any:
    """Have every text of a matplotlib figure drawn letter by letter; returns the figure.

    Between two dollar signs matplotlib expects a formula, and what is none ends with an error. Numbers at ticks are its
    own and stay formulas (powers of ten); names at ticks do not.
    """
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    named = FixedFormatter | FuncFormatter
    axes = [axis for axis in figure.findobj(Axis) if not isinstance(axis.get_major_formatter(), named)]
    ticks = {id(text) for axis in axes for text in axis.findobj(Text)} - {id(axis.label) for axis in axes}
    for text in figure.findobj(Text):
        if id(text) not in ticks:
            text.set_parse_math(False)
    return figure
