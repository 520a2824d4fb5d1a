"""The arrows between the modules of mmreg, read from their source: imports of any kind, also those made by a string."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / 'mmreg'
_NAME = re.compile(r'mmreg(\.\w+)+')


@cache
def modules() -> dict[str, Path]:
    """Name -> file of every module."""
    found = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = ['mmreg', *path.relative_to(PACKAGE).with_suffix('').parts]
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return found


def rooms() -> set[str]:
    """Names of the packages and modules directly below mmreg."""
    return {name.split('.')[1] for name in modules() if '.' in name}


@cache
def arrows() -> dict[str, set[str]]:
    """Module -> modules of mmreg that it imports, wherever in the file; below ``TYPE_CHECKING`` and by string, too."""
    return {name: set(_imported(name, path.read_text(encoding='utf-8'))) - {name} for name, path in modules().items()}


def foreign(name: str) -> set[str]:
    """Top-level packages besides mmreg that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split('.')[0])
    return found - {'mmreg'}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other (strongly connected components of more than one node)."""
    reached = {node: _reach(graph, node) for node in graph}
    groups = {frozenset({node, *(o for o in reached[node] if node in reached.get(o, ()))}) for node in graph}
    return [sorted(group) for group in groups if len(group) > 1]


def folded(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same arrows between folders: a module inside a folder of a room counts as that folder."""
    names = {node: _folder(node) for node in graph}
    merged: dict[str, set[str]] = {}
    for node, targets in graph.items():
        own = names[node]
        merged.setdefault(own, set()).update(names[target] for target in targets if names[target] != own)
    return merged


def _folder(name: str) -> str:
    """``mmreg.room.folder`` of a module inside a folder of a room; a module directly in a room is its own."""
    parts = name.split('.')
    return '.'.join(parts[:3])


def _reach(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(graph.get(node, ()))
    return seen


def _imported(name: str, text: str) -> Iterator[str]:
    tree = ast.parse(text)
    package = name if modules()[name].name == '__init__.py' else name.rpartition('.')[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = list(_from(node, package))
        else:
            continue
        yield from filter(None, map(_known, names))
    yield from _by_string(tree, package, 'import_module' in text)


def _from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = node.module or ''
    if node.level:
        above = package.split('.')[: len(package.split('.')) - node.level + 1]
        base = '.'.join([*above, base] if base else above)
    for alias in node.names:
        full = f'{base}.{alias.name}'
        yield full if full in modules() else base


def _by_string(tree: ast.AST, package: str, imports: bool) -> Iterator[str]:
    """Modules that a string names; in a file that imports by string, also strings that are the name of a room."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        text = f'mmreg.{node.value}' if imports and node.value in rooms() else node.value
        # The name of one's own package is where a file lies, not an import.
        if _NAME.fullmatch(text) and text in modules() and not f'{package}.'.startswith(f'{text}.'):
            yield text


def _known(name: str) -> str | None:
    """The module of mmreg that ``name`` is or lies in."""
    while name and name not in modules():
        name = name.rpartition('.')[0]
    return name or None
