"""A new part is a new file and nothing else: dropped into its package, it is found and listed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmreg

PACKAGE = Path(mmreg.__file__).parent
#: Every package of parts, and the registry that its parts go to.
ROOMS = {
    'models/backbones': 'BACKBONES',
    'models/flow_heads': 'FLOW_HEADS',
    'models/integrators': 'INTEGRATORS',
    'models/losses': 'LOSSES',
    'models/registrars': 'REGISTRARS',
    'datasets': 'DATASETS',
    'datasets/transforms': 'TRANSFORMS',
    'evaluation/metrics': 'METRICS',
    'engine': 'LOOPS',
    'engine/hooks': 'HOOKS',
    'visualization': 'VISBACKENDS',
    'segmenters': 'SEGMENTERS',
    'text': 'TEXT_EMBEDDINGS',
}
#: Packages whose parts are looked up by name only.
QUIET = ('segmenters', 'text')
PART = '''
from mmreg.registry import {registry}


@{registry}.register_module()
class {name}:
    """Dropped into {room}."""
'''
FAMILY = """
from mmreg.converters.base import Family

FAMILY = Family(**{{name: 'dropped' if name == 'name' else None for name in Family.__dataclass_fields__}})
"""
#: Prints what every registry finds when it is asked alone, what its package exports, and the families.
ASK = """
import importlib
from mmreg import registry
for room, name in {rooms}.items():
    part = getattr(registry, name).get('Dropped' + name.title().replace('_', ''))
    package = importlib.import_module('mmreg.' + room.replace('/', '.'))
    assert room in {quiet} or getattr(package, part.__name__) is part
    print(part.__module__, part.__name__)
from mmreg.converters import FAMILIES
print('family', 'dropped' in FAMILIES)
"""


def _name(registry):
    return 'Dropped' + registry.title().replace('_', '')


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What a copy of the package finds, with a file more in each room."""
    folder = tmp_path_factory.mktemp('copy')
    shutil.copytree(PACKAGE, folder / 'mmreg', ignore=shutil.ignore_patterns('__pycache__'))
    for room, registry in ROOMS.items():
        text = PART.format(registry=registry, name=_name(registry), room=room)
        (folder / 'mmreg' / room / 'a_dropped_part.py').write_text(text)
    (folder / 'mmreg' / 'converters' / 'a_dropped_part.py').write_text(FAMILY.format())
    env = {**os.environ, 'PYTHONPATH': str(folder)}
    ask = [sys.executable, '-c', ASK.format(rooms=ROOMS, quiet=QUIET)]
    answer = subprocess.run(ask, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


@pytest.mark.parametrize(('room', 'registry'), ROOMS.items())
def test_a_dropped_file_is_found(found, room, registry):
    assert f'mmreg.{room.replace("/", ".")}.a_dropped_part {_name(registry)}' in found


def test_a_dropped_family_is_found(found):
    assert 'family True' in found


def test_every_package_of_parts_is_tried():
    """A package that holds a registered part stands in the table above."""
    from mmreg.plugins import register_all_modules
    from mmreg.registry import PUBLIC

    register_all_modules()
    own = [p for r in PUBLIC.values() for p in r.module_dict.values() if p.__module__.startswith('mmreg.')]
    rooms = {part.__module__.rpartition('.')[0].removeprefix('mmreg.').replace('.', '/') for part in own}
    assert rooms - {'models'} <= set(ROOMS)  # the preprocessor is the model's own


def test_no_part_is_listed_by_hand():
    """Packages of parts name no registered part in their ``__init__``, but what others build upon."""
    from mmreg.plugins import register_all_modules
    from mmreg.registry import PUBLIC

    register_all_modules()
    parts = {name for registry in PUBLIC.values() for name in registry.module_dict}
    for room in ROOMS:
        text = (PACKAGE / room / '__init__.py').read_text('utf-8')
        assert {name for name in parts if f"'{name}'" in text} <= {'PackRegInputs'}, room
