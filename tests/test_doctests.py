"""Examples in docstrings run and print what they say; public functions of the lower floors have one."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import mmreg

PACKAGE = Path(mmreg.__file__).parent
#: Rooms in which every public function has an example.
COMPLETE = ('spatial',)
MODULES = [
    '.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts)
    for path in sorted(PACKAGE.rglob('*.py'))
    if '>>> ' in path.read_text('utf-8')
]


@pytest.mark.parametrize('name', MODULES)
def test_examples_run(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not found.failed


@pytest.mark.parametrize('room', COMPLETE)
def test_public_functions_have_an_example(room):
    missing = []
    for path in sorted((PACKAGE / room).glob('*.py')):
        if path.name.startswith('_'):
            continue
        for one in ast.parse(path.read_text('utf-8')).body:
            public = isinstance(one, ast.FunctionDef) and not one.name.startswith('_')
            if public and '>>> ' not in (ast.get_docstring(one) or ''):
                missing.append(f'{path.name}:{one.name}')
    assert not missing


@pytest.mark.parametrize('package', ['mmreg.io', 'mmreg.apis'])
def test_public_names_have_an_example(package):
    module = importlib.import_module(package)
    functions = {name: getattr(module, name) for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    examples = doctest.DocTestFinder(recurse=False)
    runs = {
        name: [one for test in examples.find(f) for one in test.examples if '+SKIP' not in one.source]
        for name, f in functions.items()
    }
    assert not [name for name, found in runs.items() if not found]
