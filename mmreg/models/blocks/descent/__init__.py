"""The parts of an unrolled gradient descent: the force of the images and the learned force of the field."""

from .forces import ImageForce, build_force
from .step import DescentBlock, Regulariser

__all__ = ['DescentBlock', 'ImageForce', 'Regulariser', 'build_force']
