"""Twins get different names; what users import today goes on being there."""

import ast
import importlib
import json
from collections import defaultdict
from pathlib import Path

import pytest

import mmreg
import mmreg.apis
from mmreg.registry import PUBLIC

from .imports import modules

APIS = {
    'Image', 'ImageLike', 'InverseResidual', 'InvertedTransform', 'JacobianMap', 'LandmarksLike', 'Preparation',
    'Preset', 'PresetRegistration', 'RegistrationInferencer', 'RegistrationResult', 'apply_transform',
    'compose_transforms', 'find_preparation', 'init_model', 'invert_transform', 'jacobian_map', 'list_presets',
    'register', 'transform_landmarks', 'write_result',
}  # fmt: skip
PACKAGE = {
    'RegistrationInferencer', 'RegistrationResult', '__version__', 'apply_transform', 'compose_transforms',
    'init_model', 'invert_transform', 'jacobian_map', 'register', 'transform_landmarks',
}  # fmt: skip
#: Every type that a config of version 0.1 could name, by registry.
TYPES = json.loads((Path(__file__).parent / 'public_types.json').read_text(encoding='utf-8'))


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
                places[node.name].append(name)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_names_of_users():
    assert set(mmreg.apis.__all__) >= APIS and set(mmreg.__all__) >= PACKAGE
    for name in APIS:
        assert getattr(mmreg.apis, name)
    for name in PACKAGE:
        assert getattr(mmreg, name)
    assert mmreg.register is mmreg.apis.register
    assert {'cfg', 'checkpoint', 'checkpoint_meta'} <= set(mmreg.apis.init_model.__doc__.replace('`', ' ').split())


@pytest.mark.parametrize('kind', TYPES)
def test_types_of_configs(kind):
    from mmreg.plugins import register_all_modules

    register_all_modules()
    assert not set(TYPES[kind]) - PUBLIC[kind].known()


@pytest.mark.parametrize('name', ['mmreg.registry', 'mmreg.structures', 'mmreg.io', 'mmreg.spatial', 'mmreg.text'])
def test_packages_of_users(name):
    package = importlib.import_module(name)
    assert all(getattr(package, one) is not None for one in getattr(package, '__all__', ()))
