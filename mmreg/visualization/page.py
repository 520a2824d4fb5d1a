"""HTML pages from templates: whatever is put in is escaped, style and script are inside, nothing is loaded."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup


def render_page(template: str, **values: Any) -> str:
    """The text of a page.

    Args:
        template: Name of a file in ``report_assets``.
        values: What it shows; strings are escaped, ``|tojson`` makes data that a script element may hold.
    """
    return _environment().get_template(template).render(**values)


def asset(name: str) -> str:
    """The text of a file in ``report_assets``."""
    return (files('mmreg.visualization') / 'report_assets' / name).read_text(encoding='utf-8')


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FunctionLoader(asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.globals['asset'] = lambda name: Markup(asset(name))
    return found
