"""What a Python user imports: a model ready to be run, and pairs of images registered with it.

The names are loaded on first use: the command line answers `--help` and refuses bad files before torch is imported.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmreg.populations.propagation.propagate import propagate
    from mmreg.populations.scans import Scan, read_scans
    from mmreg.populations.series.align import align_series
    from mmreg.populations.series.frames import read_series
    from mmreg.populations.statistics.compare import cohort_statistics
    from mmreg.populations.statistics.volumes import TemplateSpace
    from mmreg.populations.template.build import build_template
    from mmreg.registration.by_preset import PresetRegistration
    from mmreg.registration.inferencer import RegistrationInferencer
    from mmreg.registration.inputs import Image
    from mmreg.registration.model import LoadedModel, init_model, load_model
    from mmreg.registration.presets.preset import Preset, list_presets
    from mmreg.registration.register import register
    from mmreg.registration.results.inverse import InverseResidual
    from mmreg.registration.results.outputs import write_result
    from mmreg.registration.results.result import RegistrationResult
    from mmreg.registration.types import ImageLike, LandmarksLike
    from mmreg.registration.working.preparation import Preparation, find_preparation
    from mmreg.transforms.algebra import InvertedTransform, compose_transforms, invert_transform
    from mmreg.transforms.apply import apply_transform, transform_landmarks
    from mmreg.transforms.jacobian import JacobianMap, jacobian_map

_MODULES = {
    'propagate': 'mmreg.populations.propagation.propagate',
    'Scan': 'mmreg.populations.scans',
    'read_scans': 'mmreg.populations.scans',
    'align_series': 'mmreg.populations.series.align',
    'read_series': 'mmreg.populations.series.frames',
    'cohort_statistics': 'mmreg.populations.statistics.compare',
    'TemplateSpace': 'mmreg.populations.statistics.volumes',
    'build_template': 'mmreg.populations.template.build',
    'Image': 'mmreg.registration.inputs',
    'ImageLike': 'mmreg.registration.types',
    'InverseResidual': 'mmreg.registration.results.inverse',
    'InvertedTransform': 'mmreg.transforms.algebra',
    'JacobianMap': 'mmreg.transforms.jacobian',
    'LandmarksLike': 'mmreg.registration.types',
    'LoadedModel': 'mmreg.registration.model',
    'Preparation': 'mmreg.registration.working.preparation',
    'Preset': 'mmreg.registration.presets.preset',
    'PresetRegistration': 'mmreg.registration.by_preset',
    'RegistrationInferencer': 'mmreg.registration.inferencer',
    'RegistrationResult': 'mmreg.registration.results.result',
    'apply_transform': 'mmreg.transforms.apply',
    'compose_transforms': 'mmreg.transforms.algebra',
    'find_preparation': 'mmreg.registration.working.preparation',
    'init_model': 'mmreg.registration.model',
    'invert_transform': 'mmreg.transforms.algebra',
    'jacobian_map': 'mmreg.transforms.jacobian',
    'load_model': 'mmreg.registration.model',
    'list_presets': 'mmreg.registration.presets.preset',
    'register': 'mmreg.registration.register',
    'transform_landmarks': 'mmreg.transforms.apply',
    'write_result': 'mmreg.registration.results.outputs',
}

__all__ = [
    'propagate',
    'Scan',
    'read_scans',
    'align_series',
    'read_series',
    'cohort_statistics',
    'TemplateSpace',
    'build_template',
    'Image',
    'ImageLike',
    'InverseResidual',
    'InvertedTransform',
    'JacobianMap',
    'LandmarksLike',
    'LoadedModel',
    'Preparation',
    'Preset',
    'PresetRegistration',
    'RegistrationInferencer',
    'RegistrationResult',
    'apply_transform',
    'compose_transforms',
    'find_preparation',
    'init_model',
    'invert_transform',
    'jacobian_map',
    'list_presets',
    'load_model',
    'register',
    'transform_landmarks',
    'write_result',
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
