"""A segmenter that is a program of its own: TotalSegmentator, SynthSeg, nnU-Net."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, DataError
from mmreg.io import Volume, read_volume, write_volume
from mmreg.registry import SEGMENTERS

from .base import Segmenter


@SEGMENTERS.register_module()
class CommandSegmenter(Segmenter):
    """Runs a program that reads an image file and writes a label file.

    Args:
        command: Program and arguments, a list (no shell): ``['TotalSegmentator', '-i', '{input}', '-o', '{output}',
            '--ml']`` or ``['mri_synthseg', '--i', '{input}', '--o', '{output}']``. ``{input}`` and ``{output}`` are
            ``.nii.gz`` files in a temporary folder.
        original: Hand the program the image's own file where it has one, not the prepared voxels.
        timeout: Seconds.
        kwargs: See :class:`Segmenter`.

    Raises:
        ConfigError: the command lacks a placeholder.
    """

    #: A file of data may not name it.
    runs_programs = True

    def __init__(self, command: Sequence[str], original: bool = True, timeout: float | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        text = ' '.join(command) if not isinstance(command, str) else ''
        if '{input}' not in text or '{output}' not in text:
            raise ConfigError(
                f'command={command!r} of CommandSegmenter, expected a list with {{input}} and {{output}}.'
            )
        self.command, self.text = list(command), text
        self.original, self.timeout = original, timeout

    def segment(self, image: Volume, path: str, name: str) -> Volume:
        """Run the program on a temporary file and read what it wrote."""
        program = self.command[0]
        if shutil.which(program) is None:
            raise DataError(f'CommandSegmenter: there is no program {program!r} here, expected it to be installed.')
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / 'labels.nii.gz'
            source = Path(path)
            if not (self.original and path and source.is_file()):
                source = Path(folder) / 'image.nii.gz'
                write_volume(source, image)
            words = [word.format(input=source, output=output) for word in self.command]
            try:
                done = subprocess.run(words, capture_output=True, text=True, timeout=self.timeout, check=False)
            except subprocess.TimeoutExpired as error:
                raise DataError(f'{path or "the image"}: {program} ran for more than {self.timeout} s.') from error
            if done.returncode or not output.is_file():
                said = (done.stderr.strip() or done.stdout.strip()).splitlines()
                raise DataError(
                    f'{path or "the image"}: {program} ended with code {done.returncode} and without a label file'
                    f'{": " + said[-1] if said else ""}'
                )
            return read_volume(output, 'labels', check=False)
