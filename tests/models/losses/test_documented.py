"""Every registered loss is documented: side by side in docs/losses.md, and in a docstring that says everything."""

import re
from pathlib import Path

import pytest

import mmreg.models.losses  # noqa: F401
from mmreg.registry import LOSSES

PAGE = Path(__file__).parents[3] / 'docs' / 'losses.md'
OWN = {name: cls for name, cls in LOSSES.module_dict.items() if cls.__module__.startswith('mmreg.')}

#: What each docstring has to say, and how to recognise it.
SAYS = {
    'formula': r'\.\. math::|:math:`|``[^`]*(mean|sum|log|d\(|/)[^`]*``',
    'source': r'Source[:,] ',
    'range': r'in \[[^\]]*[\])]|In \[0, inf\)|Value: |>= 0',
    'unit': r'[Uu]nit|voxel|\bmm\b|nats|dimension|intensity',
    'memory': r'Save[sd] for backward: ',
}


def test_table_lists_every_loss():
    listed = re.findall(r'^\| `(\w+)` \|', PAGE.read_text(encoding='utf-8'), flags=re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(OWN)


@pytest.mark.parametrize('name', sorted(OWN))
def test_docstring_says_everything(name):
    text = ' '.join(OWN[name].__doc__.split())
    missing = [what for what, pattern in SAYS.items() if not re.search(pattern, text)]
    assert not missing, f'{name}: the docstring lacks {missing}'


@pytest.mark.parametrize('name', sorted(OWN))
def test_every_argument_is_explained(name):
    """Arguments of a base class may be explained there by 'as :class:`Other`'."""
    cls = OWN[name]
    arguments = list(cls.__init__.__annotations__)
    text = cls.__doc__
    shared = re.search(r'[Aa]s(?: in)? :class:', text)
    missing = [a for a in arguments if a != 'return' and not re.search(rf'\b{a}\b', text)]
    assert not missing or shared, f'{name}: the docstring does not explain {missing}'
