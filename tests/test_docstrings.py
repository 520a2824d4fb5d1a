"""Docstrings, read from the source: public methods have them, and what takes tensors says their shapes."""

import ast
import re
from pathlib import Path

import mmreg

PACKAGE = Path(mmreg.__file__).parent
#: Least shares; what is new has to do better.
METHODS, SHAPES = 0.95, 0.95
#: A written shape: ``(N, C, *spatial)``, ``(*S)``, ``(B,)``, ``(ndim, P)``, ``(.., n, n)``.
SHAPE = re.compile(r'\((?:\w+|\*\w+|\.\.+)(?:[ +*/-]+\w+)*,[^()]*\)|\(\*\w+\)|\(\w+\)``')
#: State dicts: their entries have the shapes of the model's weights.
STATE = re.compile(r'Mapping\[str, (Tensor|Any)|dict\[str, Tensor')


def definitions():
    """(file, class or None, function) of everything public."""
    for path in sorted(PACKAGE.rglob('*.py')):
        if any(part.startswith('_') and part != '__init__.py' for part in path.relative_to(PACKAGE).parts):
            continue
        tree = ast.parse(path.read_text('utf-8'))
        yield from ((path, *found) for found in _public(tree, None))


def _public(node, cls):
    for one in node.body:
        if isinstance(one, ast.ClassDef) and not one.name.startswith('_'):
            yield from _public(one, one.name)
        elif isinstance(one, ast.FunctionDef) and not one.name.startswith('_'):
            yield cls, one


def _name(path, cls, function):
    return f'{path.relative_to(PACKAGE)}:{f"{cls}." if cls else ""}{function.name}'


def _takes_tensors(function):
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    types = [ast.unparse(a.annotation) for a in arguments if a.annotation is not None]
    return any(re.search(r'\bTensor\b', text) and not STATE.search(text) for text in types)


def test_public_methods_have_docstrings():
    methods = [(_name(p, c, f), ast.get_docstring(f)) for p, c, f in definitions() if c]
    silent = [name for name, text in methods if not text]
    assert len(methods) > 500 and len(silent) <= (1 - METHODS) * len(methods), f'no docstring: {silent}'


def test_public_functions_have_docstrings():
    silent = [_name(p, c, f) for p, c, f in definitions() if not c and not ast.get_docstring(f)]
    assert not silent


def test_what_takes_tensors_names_their_shapes():
    found = [(_name(p, c, f), ast.get_docstring(f) or '') for p, c, f in definitions() if _takes_tensors(f)]
    silent = [name for name, text in found if not SHAPE.search(text)]
    assert len(found) > 300 and len(silent) <= (1 - SHAPES) * len(found), f'no shape named: {silent}'
