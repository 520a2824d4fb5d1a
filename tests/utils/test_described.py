"""Keywords, docstrings and options are made from the fields of dataclasses."""

import argparse
import inspect
from dataclasses import dataclass

import pytest

from mmreg.commands.shared.options import add_described
from mmreg.utils.described import described, keyword_docs, split_keywords, with_keywords


@dataclass
class Files:
    image: str = described('where the image is', python='or an array')
    mask: str | None = described('where it counts', None)


@dataclass
class Settings:
    count: int = described('how many, 100 % of them', 3, type=int, short='-n', metavar='N')


@with_keywords(Files, Settings, skip=('mask',))
def do(image, *, out=None, **keywords):
    """Do it.

    Args:
        {keywords}
        out: Folder.
    """
    return image, keywords


def test_signature_and_docstring():
    assert list(inspect.signature(do).parameters) == ['image', 'out', 'count']
    assert inspect.signature(do).parameters['count'].default == 3
    assert do.__doc__ == (
        'Do it.\n\nArgs:\n    image: Where the image is; or an array.\n    count: How many, 100 % of them.\n'
        '    out: Folder.'
    )
    assert keyword_docs(Files).splitlines()[1] == 'mask: Where it counts.'


def test_keywords_find_their_dataclass():
    assert split_keywords({'mask': 'm', 'count': 1}, Files, Settings) == [{'mask': 'm'}, {'count': 1}]
    with pytest.raises(TypeError, match="'mesk'; did you mean 'mask'"):
        split_keywords({'mesk': 1}, Files, Settings)


def test_options():
    parser = argparse.ArgumentParser()
    add_described(parser, Files, ('mask',), metavar='FILE')
    add_described(parser, Settings, ('count',), defaults={'count': 5})
    args = parser.parse_args(['-n', '4'])
    assert (args.count, args.mask) == (4, None)
    assert parser.parse_args([]).count == 5
    assert '100 % of them (default: 5)' in ' '.join(parser.format_help().split())
