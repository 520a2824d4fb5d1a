"""The page "from the papers' commands to ours" names configs, commands and keys that exist."""

import re
from pathlib import Path

from mmreg.cli import COMMANDS, door
from mmreg.utils.config_keys import PUBLISHED_OPTIONS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'from_the_papers.md').read_text(encoding='utf-8')


def test_configs_and_tools_exist():
    named = re.findall(r'(?:configs|tools)/[\w/]+\.py', PAGE)
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).is_file()]
    for suffix in re.findall(r'`_(\w+)`', PAGE):
        assert list((ROOT / 'configs').glob(f'*_{suffix}.py')), suffix


def test_commands_exist_and_take_the_options(capsys):
    import pytest

    for name in set(re.findall(r'`mmreg ([a-z-]+)', PAGE)):
        assert name in COMMANDS
    for name in ('test', 'infer', 'train'):
        with pytest.raises(SystemExit):
            door(name)(['--help'])
        told = capsys.readouterr().out
        lines = [line for line in PAGE.splitlines() if f'tools/{name}.py' in line or f'mmreg {name} ' in line]
        ours = ' '.join(line.split('|')[-2] for line in lines)
        for option in set(re.findall(r'(?<=\s)--[a-z-]+', ours)):
            assert option in told, f'{option} of mmreg {name}'


def test_every_option_that_is_answered_is_on_the_page():
    for name in (
        'start_channel',
        'num_classes',
        'bs',
        'gpu_id',
        'reg_w',
        'scp_dim',
        'diff_int',
        'clip_backbone',
        'epochs',
    ):
        assert name in PUBLISHED_OPTIONS and name in PAGE
