"""Command lines that the documentation shows: where each stands, and its words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from mmreg.cli import ALIASES, COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    {
        *ROOT.glob('*.md'),
        *(ROOT / 'docs').rglob('*.md'),
        *(ROOT / 'integrations').rglob('*.md'),
        *(ROOT / 'projects').rglob('*.md'),
        *(ROOT / 'docker').rglob('*.md'),
        *(ROOT / 'conda').rglob('*.md'),
    }
)
_FENCE = re.compile(r'^ *```(\w*)[^\n]*\n(.*?)^ *```', re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r'`([^`\n]+)`')
#: What stands before the words of a command of mmreg; environment variables and launchers are passed over.
_START = re.compile(
    r'^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:torchrun (?:--\S+ \S+ )*-m mmreg\.cli |python -m mmreg\.cli |mmreg '
    r'|(?:python |torchrun (?:--\S+ \S+ )*)(?=(?:tools|benchmarks)/))'
)


@dataclass(frozen=True)
class Line:
    """A command line as a page shows it.

    Attributes:
        place: Page and line.
        text: As it is printed.
        script: File below the root for ``python tools/X.py``; None for ``mmreg``.
        words: What follows ``mmreg`` or the script.
        fails: Whether the page shows that it is refused.
    """

    place: str
    text: str
    script: str | None
    words: tuple[str, ...]
    fails: bool = False

    @property
    def command(self) -> str | None:
        """Sub-command of mmreg; None for a script that opens none."""
        if self.script is None:
            name = self.words[0] if self.words else ''
            return ALIASES.get(name, name)
        door = re.search(r"door\('([\w-]+)'\)", (ROOT / self.script).read_text('utf-8'))
        return door and door[1]

    @property
    def arguments(self) -> list[str]:
        """What the command is given."""
        return list(self.words if self.script else self.words[1:])


def module_of(command: str) -> object:
    """Where the ``main`` of a sub-command lives."""
    return import_module(COMMANDS[command][0])


def line_of(text: str, place: str) -> Line | None:
    """The command of one printed line; None where it starts no command of ours."""
    start = _START.match(text)
    if start is None:
        return None
    rest = re.sub(r'\s#\s.*$', '', text[start.end() :])
    rest = re.split(r'\s[|>]\s|\s&&\s', rest)[0]
    words = shlex.split(rest)
    script = words.pop(0) if words and re.match(r'(tools|benchmarks)/', words[0]) else None
    return Line(place, text, script, tuple(words))


def _joined(block: str) -> Iterator[tuple[int, str]]:
    """Lines of a block with their numbers, continued ones in one."""
    whole, first = '', 0
    for number, line in enumerate(block.splitlines()):
        first = first if whole else number
        if line.rstrip().endswith('\\'):
            whole += line.rstrip()[:-1] + ' '
            continue
        yield first, ' '.join((whole + line).split(' ')).strip()
        whole = ''


def documented(page: Path) -> list[Line]:
    """Of the blocks of a page."""
    text, found = page.read_text('utf-8'), []
    for block in _FENCE.finditer(text):
        if block[1] in ('python', 'json', 'yaml', 'toml', 'csv'):
            continue
        top = text[: block.start()].count('\n') + 2
        lines = list(_joined(block[2]))
        for (number, line), (_, following) in zip(lines, [*lines[1:], (0, '')]):
            command = line_of(line, f'{page.relative_to(ROOT)}:{top + number}')
            found += [replace(command, fails=following.startswith('mmreg: error'))] if command else []
    return found


def mentioned(page: Path) -> list[Line]:
    """What is named in running text: maybe without what a command needs."""
    text, found = _FENCE.sub(lambda m: '\n' * m[0].count('\n'), page.read_text('utf-8')), []
    for number, line in enumerate(text.splitlines(), 1):
        for span in _SPAN.findall(line):
            command = line_of(span, f'{page.relative_to(ROOT)}:{number}')
            found += [command] if command else []
    return found
