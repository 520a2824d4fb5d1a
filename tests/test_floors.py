"""Imports run down the floors of the house, and in no circle; `docs/architecture.md` shows the floors.

The one exception are the ``locations`` in ``registry.py``: MMEngine imports them when a part is asked for by name.
"""

import pytest

from .imports import arrows, circles, folded, foreign, modules, rooms

#: From the roof to the ground; what stands in one line may import from each other, but in one direction only.
FLOORS = (
    {'cli', 'commands'},
    {'apis'},
    {'populations'},
    {'registration', 'transforms', 'zoo'},
    {'plugins'},
    {'engine', 'evaluation', 'visualization'},
    {'models', 'datasets', 'converters'},
    {'text', 'segmenters', 'structures'},
    {'io'},
    {'spatial'},
    {'registry', 'errors', 'utils', 'version'},
)
HEIGHT = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def test_every_room_has_a_floor():
    assert rooms() == set(HEIGHT)


def test_no_import_goes_up():
    up = [
        f'{name} -> {target}'
        for name, targets in arrows().items()
        for target in targets
        if name != 'mmreg' and target != 'mmreg' and HEIGHT[_room(target)] < HEIGHT[_room(name)]
    ]
    assert not up


def test_nobody_imports_the_package_itself():
    """``import mmreg`` inside would be an arrow from everywhere to the roof."""
    assert not [name for name, targets in arrows().items() if 'mmreg' in targets]


@pytest.mark.parametrize('level', ['module', 'folder', 'room'])
def test_no_circles(level):
    graph = {name: targets for name, targets in arrows().items() if name != 'mmreg'}
    if level == 'folder':
        graph = folded(graph)
    if level == 'room':
        graph = {
            room: {_room(t) for name, ts in graph.items() if _room(name) == room for t in ts} - {room}
            for room in rooms()
        }
    assert not circles(graph)


def test_files_know_no_torch_and_space_knows_torch_alone():
    for name in modules():
        if _room(name) == 'io':
            assert not foreign(name) & {'torch', 'mmengine', 'monai'}, name
        if _room(name) == 'spatial':
            assert not foreign(name) & {'mmengine', 'monai', 'SimpleITK'}, name


def test_a_circle_would_be_found():
    assert circles({'a': {'b'}, 'b': {'c'}, 'c': {'a', 'd'}, 'd': set()}) == [['a', 'b', 'c']]


def _room(name: str) -> str:
    return (name.split('.') + [''])[1]
