"""A file together with what has to be known to read it: which volume, which series, which position."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .volumes import Volume, read_volume


@dataclass(frozen=True)
class ImageFile(os.PathLike[str]):
    """An image file or DICOM folder, and how to read it; stands wherever a path does.

    Attributes:
        path: The file or folder.
        frame: Which volume of a fourth axis (time), counted from 1.
        series: UID or number of a DICOM series, where a folder holds several.
        position: 'sform' or 'qform' of a NIfTI header.
        channels: Whether the volumes of a fourth axis, or the two numbers per voxel of a MetaImage, are channels of
            one image.

    Example:
        >>> str(ImageFile('bold.nii.gz', frame=3))
        'bold.nii.gz'
    """

    path: str | Path
    frame: int | None = None
    series: str | None = None
    position: str | None = None
    channels: bool = False

    @classmethod
    def known(cls) -> tuple[str, ...]:
        """Names of what may be known of a file."""
        return tuple(one.name for one in fields(cls) if one.name != 'path')

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return os.fspath(self.path)

    @classmethod
    def of(cls, source: Any) -> ImageFile:
        """The source itself, or a path to be read as it is."""
        return source if isinstance(source, cls) else cls(source)

    def read(self, kind: str = 'image', **options: Any) -> Volume:
        """:func:`mmreg.io.read_volume` with what is known here."""
        return read_volume(self.path, kind, series=self.series, frame=self.frame, position=self.position, **options)
