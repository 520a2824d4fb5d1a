"""Names of files and cases in figures: shown as they are, never read as formulas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError

from .atomic import replacing


def plain_words(figure: Any) -> Any:
    """Have every text of a matplotlib figure drawn letter by letter; returns the figure.

    Between two dollar signs matplotlib expects a formula, and what is none ends with an error. Numbers at ticks are its
    own and stay formulas (powers of ten); names at ticks do not.
    """
    for text in _words(figure):
        text.set_parse_math(False)
    return figure


def _words(artist: Any) -> Iterator[Any]:
    """Every text of an artist but the numbers at ticks, which are not made for this."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    if isinstance(artist, Axis) and not isinstance(artist.get_major_formatter(), FixedFormatter | FuncFormatter):
        yield artist.label
        return
    if isinstance(artist, Text):
        yield artist
    for child in artist.get_children():
        yield from _words(child)


def figure_format(path: str | Path) -> str:
    """The format that the ending of a figure's file asks for; PNG without an ending.

    Raises:
        ConfigError: there is no such format.

    Example:
        >>> figure_format('curve.pdf'), figure_format('curve')
        ('pdf', 'png')
    """
    known = ('png', 'pdf', 'svg', 'jpg', 'jpeg', 'tif', 'tiff', 'webp', 'eps', 'ps')
    found = Path(path).suffix.lstrip('.').lower() or 'png'
    if found not in known:
        raise ConfigError(f'{path}: found the ending .{found}, expected one of {", ".join(known)} for a figure.')
    return found


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure atomically in the format of the file's ending, its words letter by letter.

    Raises:
        ConfigError: there is no such format.
        DataError: the file cannot be written.
    """
    form = figure_format(path)
    with replacing(Path(path)) as temporary:
        plain_words(figure).savefig(temporary, format=form, dpi=120)
