"""Errors that a user can mend.

Whatever is wrong with a file, a config key or an argument is raised as an :class:`InputError` whose message is one
sentence: what (file or key), what was found, what was expected. The command line prints that sentence and exits
with a non-zero code; everything else is a bug and keeps its stack trace.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice

#: Where an object lies in memory, as other libraries' errors print it: nothing that a user can act on.
_ADDRESS = re.compile(r' (?:object )?at 0x[0-9a-fA-F]+')


#: What comes of taking content for what it is not: an entry or row too few, a number that is a word, no number at all.
MISFIT = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)


class InputError(ValueError):
    """A user's mistake, told in one sentence that names the thing, what was found and what was expected."""

    exit_code = 2

    def __init__(self, message: object = ''):
        super().__init__(_ADDRESS.sub('', _without_trace(str(message))))


class DataError(InputError):
    """A file or array does not hold what it should."""


class DataWarning(UserWarning):
    """A file was read, and something in it deserves a look; one sentence that begins with the file."""


class ConfigError(InputError):
    """A config key, an option or a combination of parts cannot work."""


class EvaluationError(InputError):
    """A metric could not be computed; said alike in all processes of a run."""


class CheckpointError(InputError):
    """A checkpoint cannot be read, is not trusted, or belongs to another architecture."""


def listed(items: Collection[object], separator: str = ', ', shown: int = 8) -> str:
    """The first of what was found, and how many more there are: a sentence stays one that can be read.

    Example:
        >>> listed(['a', 'b', 'c'], shown=2)
        'a, b and 1 more'
    """
    more = len(items) - shown
    return separator.join(map(str, islice(items, shown))) + (f' and {more} more' if more > 0 else '')


def _without_trace(message: str) -> str:
    """The sentence itself, where torch has wrapped it into the stack trace of a loader's worker."""
    if not message.startswith('Caught ') or 'Original Traceback' not in message:
        return message
    return re.split(r'\n[\w.]*Error: ', message)[-1].rstrip()
