"""How many parameters the models of the configs have: counted once, kept beside the configs' digests.

Building a hundred models takes ten seconds and all of torch; ``python tools/make_metafile.py`` writes the numbers down.
A config that has changed since, or is not one of ours, is built and counted.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mmreg.utils.shipped import find_config

#: Endings of keys that say how a model is trained, measured or used, not what it is.
_ASIDE = ('dataloader', 'evaluator', '_cfg', 'hooks', 'scheduler', 'optim_wrapper', 'pipeline', 'inference', 'affine')
#: Behind code, as formatters leave it.
_COMMENT = re.compile(r'\s{2,}#.*$')
FILE = Path(__file__).with_name('counts.json')


def known_count(config: Path) -> int | None:
    """Parameters of the model of a config as they were written down; None where it is another config by now."""
    known = _written().get(config.stem)
    return int(known['parameters']) if known is not None and known['digest'] == digest(config) else None


def count_parameters(config: str | Path) -> int:
    """Numbers that training changes in the model of ``config``, built without memory for them."""
    import torch

    from mmreg.registry import REGISTRARS
    from mmreg.utils.config import load_config
    from mmreg.utils.quiet import quiet

    with quiet(), torch.device('meta'):
        model = REGISTRARS.build(load_config(config).model)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def counts(configs: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """What :data:`FILE` holds of some configs: every model is built."""
    return {config.stem: {'digest': digest(config), 'parameters': count_parameters(config)} for config in configs}


def digest(config: Path) -> str:
    """Of a config's text and that of all its bases; cards, comments and how it is trained do not count."""
    text = '\n'.join(_without_card(path) for path in _with_bases(config))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_bases(config: Path) -> Iterator[Path]:
    yield config
    for base in _bases(config):
        yield from _with_bases(find_config(base) if base.startswith('mmreg::') else config.parent / base)


@cache
def _bases(config: Path) -> tuple[str, ...]:
    for statement in _tree(config).body:
        if isinstance(statement, ast.Assign) and any(_named(target, '_base_') for target in statement.targets):
            value = ast.literal_eval(statement.value)
            return (value,) if isinstance(value, str) else tuple(value)
    return ()


@cache
def _without_card(config: Path) -> str:
    lines = config.read_text(encoding='utf-8').splitlines()
    for statement in reversed(_tree(config).body):
        if isinstance(statement, ast.Assign) and all(_is_aside(target) for target in statement.targets):
            del lines[statement.lineno - 1 : statement.end_lineno]
    code = (_COMMENT.sub('', line) for line in lines if not line.lstrip().startswith('#'))
    return ''.join(''.join(code).split())


@cache
def _tree(config: Path) -> ast.Module:
    return ast.parse(config.read_text(encoding='utf-8'))


def _is_aside(target: ast.expr) -> bool:
    """Whether a name has no say in what a model is built of."""
    return isinstance(target, ast.Name) and (target.id == '__card__' or target.id.endswith(_ASIDE))


def _named(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


@cache
def _written() -> Mapping[str, Any]:
    return json.loads(FILE.read_text(encoding='utf-8')) if FILE.is_file() else {}
