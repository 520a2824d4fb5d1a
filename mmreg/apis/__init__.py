"""What a Python user imports: a model ready to be run, and pairs of images registered with it."""

from .inferencer import RegistrationInferencer
from .inputs import Image, ImageLike, LandmarksLike
from .model import init_model
from .outputs import write_result
from .preparation import Preparation, find_preparation
from .result import InverseResidual, RegistrationResult

__all__ = [
    'Image',
    'ImageLike',
    'InverseResidual',
    'LandmarksLike',
    'Preparation',
    'RegistrationInferencer',
    'RegistrationResult',
    'find_preparation',
    'init_model',
    'write_result',
]
