"""What the site does besides the pages: an API page per package, links to files of the repository as paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r'\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)')


def on_files(files: Files, config: Any) -> Files:
    """Add ``api/index.md`` and a page per package, made from what is there: no list is kept by hand."""
    rows = []
    for package in sorted(p.parent for p in (ROOT / 'mmreg').rglob('__init__.py')):
        modules = list(_modules(package))
        if not modules:
            continue
        name = '.'.join(package.relative_to(ROOT).parts)
        body = '\n'.join(f'::: {module}\n' for module in modules)
        files.append(File.generated(config, f'api/{name}.md', content=f'# {name}\n\n{_summary(package)}\n\n{body}'))
        rows.append(f'| [{name}]({name}.md) | {_summary(package)} |')
    index = (
        '# API reference\n\nMade from the docstrings.\n\n| package | subject |\n|---|---|\n' + '\n'.join(rows) + '\n'
    )
    files.append(File.generated(config, 'api/index.md', content=index))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Replace links to files outside the pages by their paths; a path that does not exist stops the build."""
    pages = Path(config['docs_dir']).resolve()
    here = (pages / page.file.src_uri).parent

    def plain(match: re.Match[str]) -> str:
        target = (here / match.group(2)).resolve()
        if target.is_relative_to(pages):
            return match.group(0)
        if not target.exists():
            raise FileNotFoundError(f'{page.file.src_uri} links to {match.group(2)}, which does not exist')
        path = f'`{target.relative_to(ROOT)}`'
        return path if match.group(1).strip('`') in path else f'{match.group(1)} ({path})'

    return _LINK.sub(plain, markdown)


def _modules(package: Path) -> Iterator[str]:
    """Modules of a package that have something public to say."""
    for path in sorted(package.glob('*.py')):
        if path.stem.startswith('_'):
            continue
        tree = ast.parse(path.read_text(encoding='utf-8'))
        kinds = (ast.FunctionDef, ast.ClassDef)
        if any(isinstance(node, kinds) and not node.name.startswith('_') for node in tree.body):
            yield '.'.join(path.relative_to(ROOT).with_suffix('').parts)


def _summary(package: Path) -> str:
    text = ast.get_docstring(ast.parse((package / '__init__.py').read_text(encoding='utf-8'))) or ''
    return text.split('\n\n')[0].replace('\n', ' ')
