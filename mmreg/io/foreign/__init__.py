"""Transforms of other programs: told apart, read as maps fixed -> moving in RAS mm, and written."""

from .recognise import FORMATS, read_any, write_as
from .space import Spaces

__all__ = ['FORMATS', 'Spaces', 'read_any', 'write_as']
