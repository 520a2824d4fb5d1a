"""C2FViT: transformer stages that see both images at one resolution each, and the affine map they regress."""

from .parameters import affine_from_parameters, parameter_count
from .stage import RegressionStage

__all__ = ['RegressionStage', 'affine_from_parameters', 'parameter_count']
