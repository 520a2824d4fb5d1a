"""Image files of every format, checked against their own headers before and while they are read."""

from .read import ImageHeader, read_file, read_header

__all__ = ['ImageHeader', 'read_file', 'read_header']
