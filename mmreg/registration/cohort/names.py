"""Names of cases: each is a folder or a file of its own, on every file system, and none stands for two cases."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmreg.errors import ConfigError, DataError, listed

#: Tables of a cohort and its page lie beside the folders of its cases.
RESERVED = re.compile(
    r'(results|failures|summary)(\.part\d+of\d+)?\.csv|index(\.part\d+of\d+)?\.html'
    r'|done\.jsonl'
    r'|(con|prn|aux|nul|com\d|lpt\d)(\..*)?',
    re.IGNORECASE,
)
#: Bytes of a name; file systems take 255, and names of files that are being written are longer.
LONGEST = 200


def check_case_ids(source: str | Path, names: Sequence[str], kind: str = 'pair', column: str = 'case_id') -> None:
    """Refuse ids that cannot name a folder, and such that a file system may take for one another.

    Args:
        source: The list, for errors.
        names: Ids in its order.
        kind: What they are ids of, for errors.
        column: What the list calls them, for errors.

    Raises:
        ConfigError: names everything that is wrong, at once.
        DataError: two cases share an id.
    """
    problems = [f'{name[:60]!r} ({kind} {n}, {why})' for n, name in enumerate(names, 1) if (why := _problem(name))]
    if problems:
        raise ConfigError(
            f'{source}: found {listed(problems)} as {column}, which cannot name a folder, expected letters and digits'
        )
    twice = colliding(names)
    if twice:
        count, name = len(twice[0]), twice[0][0]
        rest = '' if len(twice) == 1 else f' (and {len(twice) - 1} more names twice)'
        found = f'{count} {kind}s named {name!r}' if len(set(twice[0])) == 1 else f'the names {_quoted(twice[0])}'
        raise DataError(f'{source}: found {found}{rest}, expected a {column} of its own for each')


def check_places(what: str, places: Iterable[tuple[str, str]]) -> None:
    """Refuse cases that would be written to one file.

    Args:
        what: The option that names the files, for errors.
        places: CohortCase id and name of its file.

    Raises:
        ConfigError: names the files and the cases.
    """
    cases = list(places)
    clashes = []
    for names in colliding([place for _, place in cases]):
        sharing = [case for case, place in cases if place in names]
        clashes.append(f'{names[0]} for {_quoted(sharing)}')
    if clashes:
        raise ConfigError(
            f'{what}: {listed(clashes)}: these cases would share a file, expected names of their own; '
            'register them in several runs, or without --layout.'
        )


def colliding(names: Sequence[str]) -> list[list[str]]:
    """Groups of names that some file system takes for one: case and Unicode forms are ignored."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(unicodedata.normalize('NFKC', name).casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _problem(name: str) -> str | None:
    """Why a name cannot be a folder's, None where it can."""
    if not name.strip() or name in ('.', '..'):
        return 'no name'
    if any(mark in name for mark in '/\\\0'):
        return 'a path'
    if any(unicodedata.category(mark) in ('Cc', 'Zl', 'Zp') for mark in name):
        return 'a control character'
    if name.startswith(('.', '~', ' ')) or name.endswith((' ', '.')):
        return 'hidden or ending in a blank or dot'
    if RESERVED.fullmatch(name):
        return 'a reserved name'
    size = len(name.encode('utf-8', 'surrogateescape'))
    return f'{size} bytes long, at most {LONGEST}' if size > LONGEST else None


def _quoted(names: Sequence[str]) -> str:
    return listed([repr(name) for name in names])
