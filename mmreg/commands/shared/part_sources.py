"""Registered parts as their sources tell them: read, not imported, so that a list costs no torch.

A part is a class or function below a decorator ``@REGISTRY.register_module()``; ``tests/commands/test_parts.py`` holds
what is found here to what the registries say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]
_REGISTER = 'register_module'


@dataclass(frozen=True)
class Part:
    """What is told of one part.

    Attributes:
        title: Its registry, as `mmreg list` names it.
        name: What a config writes behind ``type=``.
        signature: What it may write beside that.
        text: The docstring.
        module: Where it is defined.
    """

    title: str
    name: str
    signature: str
    text: str
    module: str

    @property
    def summary(self) -> str:
        """First sentence or paragraph of the docstring, in one line."""
        return ' '.join(self.text.split('\n\n')[0].split()) or 'no description'

    @property
    def is_foreign(self) -> bool:
        """Whether it belongs to a plugin."""
        return not self.module.startswith('mmreg.') or self.module.startswith('mmreg_plugin_')


def parts_of_sources() -> dict[str, list[Part]]:
    """The parts of this package by registry, in the order of the registries, each sorted by name."""
    sources = _Sources()
    titles = _titles()
    found: dict[str, list[Part]] = {title: [] for title in titles.values()}
    for path in sorted(_PACKAGE.rglob('*.py')):
        text = path.read_text(encoding='utf-8')
        if f'.{_REGISTER}(' not in text:
            continue
        module = sources.module(_name_of(path))
        for node in module.tree.body:
            for registry, name in _registrations(node):
                if registry in titles and isinstance(node, ast.ClassDef | ast.FunctionDef):
                    signature = sources.signature(module, node)
                    text = ast.get_docstring(node) or ''
                    found[titles[registry]].append(Part(titles[registry], name, signature, text, module.name))
    return {title: sorted(parts, key=lambda part: part.name) for title, parts in found.items()}


def _titles() -> dict[str, str]:
    """Name of the variable -> title, of the registries that `mmreg list` shows."""
    tree = ast.parse((_PACKAGE / 'registry.py').read_text(encoding='utf-8'))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == 'PUBLIC':
            assert isinstance(node.value, ast.Dict)
            return {
                value.id: key.value
                for key, value in zip(node.value.keys, node.value.values)
                if isinstance(key, ast.Constant) and isinstance(value, ast.Name) and isinstance(key.value, str)
            }
    raise AssertionError('registry.py names no PUBLIC registries')


def _registrations(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """(variable of the registry, name of the part) of every decorator of a definition."""
    for decorator in getattr(node, 'decorator_list', ()):
        call = decorator.func if isinstance(decorator, ast.Call) else None
        if isinstance(call, ast.Attribute) and call.attr == _REGISTER and isinstance(call.value, ast.Name):
            names = [k.value.value for k in decorator.keywords if k.arg == 'name' and isinstance(k.value, ast.Constant)]
            yield call.value.id, str(names[0]) if names else node.name  # type: ignore[attr-defined]


def _name_of(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


class _Module:
    """One source: what it defines and where its imported names come from."""

    def __init__(self, name: str, path: Path):
        self.name = name
        self.package = name if path.name == '__init__.py' else name.rpartition('.')[0]
        self.tree = ast.parse(path.read_text(encoding='utf-8'))

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Its classes by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """Name here -> (module, name there)."""
        found = {}
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom):
                start = self.package.split('.')[: len(self.package.split('.')) - max(0, node.level - 1)]
                origin = '.'.join([*start, *([node.module] if node.module else [])]) if node.level else node.module
                found.update({alias.asname or alias.name: (origin or '', alias.name) for alias in node.names})
        return found

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """Values of the names that the module assigns once."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                names, values = node.targets[0].elts, node.value
                if isinstance(values, ast.Tuple) and len(values.elts) == len(names):
                    found |= {n.id: v for n, v in zip(names, values.elts) if isinstance(n, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                found[node.target.id] = node.value
        return found


class _Sources:
    """Modules of the package by name, each parsed once, and constructors through all bases."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}

    def module(self, name: str) -> _Module:
        """One of them."""
        if name not in self._modules:
            path = _PACKAGE.parent / Path(*name.split('.'))
            path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
            self._modules[name] = _Module(name, path)
        return self._modules[name]

    def signature(self, module: _Module, node: ast.ClassDef | ast.FunctionDef) -> str:
        """Arguments of a function or constructor in brackets, without annotations; ``(...)`` of another package's."""
        if isinstance(node, ast.FunctionDef):
            return self._written(module, node.args)
        made = self._constructor(module, node)
        if made is None:
            return '(...)' if self._foreign(module, node) else '()'
        origin, arguments = made
        return self._written(origin, arguments)

    def _constructor(self, module: _Module, node: ast.ClassDef) -> tuple[_Module, ast.arguments] | None:
        """Arguments of the nearest ``__init__``, without ``self``; None where no class of ours has one."""
        for own in node.body:
            if isinstance(own, ast.FunctionDef) and own.name == '__init__':
                arguments = ast.arguments(**{name: getattr(own.args, name) for name in own.args._fields})
                if arguments.posonlyargs:
                    arguments.posonlyargs = arguments.posonlyargs[1:]
                else:
                    arguments.args = arguments.args[1:]
                return module, arguments
        if any('dataclass' in ast.unparse(decorator) for decorator in node.decorator_list):
            return module, self._fields(module, node)
        for base in node.bases:
            found = self._base(module, base)
            made = None if found is None else self._constructor(*found)
            if made is not None:
                return made
        return None

    def _fields(self, module: _Module, node: ast.ClassDef) -> ast.arguments:
        """The constructor that a dataclass gets."""
        names: dict[str, ast.expr | None] = {}
        for base in reversed(node.bases):
            found = self._base(module, base)
            if found is not None and any('dataclass' in ast.unparse(d) for d in found[1].decorator_list):
                inherited = self._fields(*found)
                padding = [None] * (len(inherited.args) - len(inherited.defaults))
                names |= {a.arg: d for a, d in zip(inherited.args, [*padding, *inherited.defaults])}
        for own in node.body:
            named = isinstance(own, ast.AnnAssign) and isinstance(own.target, ast.Name)
            if named and 'ClassVar' not in ast.unparse(own.annotation):  # type: ignore[attr-defined]
                names[own.target.id] = own.value  # type: ignore[attr-defined]
        required = [name for name, default in names.items() if default is None]
        optional = {name: default for name, default in names.items() if default is not None}
        return ast.arguments(
            posonlyargs=[], args=[ast.arg(name) for name in (*required, *optional)], vararg=None, kwonlyargs=[],
            kw_defaults=[], kwarg=None, defaults=list(optional.values()),
        )  # fmt: skip

    def _foreign(self, module: _Module, node: ast.ClassDef) -> bool:
        """Whether a class has a base, near or far, that is not ours."""
        bases = [(ast.unparse(base), self._base(module, base)) for base in node.bases]
        return any(name not in ('ABC', 'Protocol') and (f is None or self._foreign(*f)) for name, f in bases)

    def _base(self, module: _Module, base: ast.expr) -> tuple[_Module, ast.ClassDef] | None:
        """The class that a base names, wherever it is defined in the package."""
        while isinstance(base, ast.Subscript):
            base = base.value
        return self._look_up(module, base.id) if isinstance(base, ast.Name) else None

    def _look_up(self, module: _Module, name: str) -> tuple[_Module, ast.ClassDef] | None:
        if name in module.classes:
            return module, module.classes[name]
        origin, there = module.imported.get(name, ('', ''))
        return self._look_up(self.module(origin), there) if origin.split('.')[0] == 'mmreg' else None

    def _written(self, module: _Module, arguments: ast.arguments) -> str:
        bare = ast.arguments(
            posonlyargs=[ast.arg(a.arg) for a in arguments.posonlyargs],
            args=[ast.arg(a.arg) for a in arguments.args],
            vararg=ast.arg(arguments.vararg.arg) if arguments.vararg else None,
            kwonlyargs=[ast.arg(a.arg) for a in arguments.kwonlyargs],
            kw_defaults=[None if d is None else self._value(module, d) for d in arguments.kw_defaults],
            kwarg=ast.arg(arguments.kwarg.arg) if arguments.kwarg else None,
            defaults=[self._value(module, d) for d in arguments.defaults],
        )
        return f'({ast.unparse(bare)})'

    def _value(self, module: _Module, default: ast.expr) -> ast.expr:
        """The value of a name that the module, or the one it imports from, assigns; else the expression itself."""
        if not isinstance(default, ast.Name):
            return default
        if default.id in module.constants:
            return self._value(module, module.constants[default.id])
        origin, there = module.imported.get(default.id, ('', ''))
        if origin.split('.')[0] == 'mmreg':
            return self._value(self.module(origin), ast.Name(there))
        return default
