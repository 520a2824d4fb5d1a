"""What was given along with the moving image follows it: more images, label maps, landmarks, meshes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreg.errors import DataError
from mmreg.io.meshes import is_mesh_file
from mmreg.transforms.outputs import Application, Moved, is_landmark_file, names_of

if TYPE_CHECKING:
    from mmreg.registration.results.values import ResultValues


class Following:
    """Files of ``--also``, checked before the registration and moved after it.

    Args:
        paths: The files, all of the moving image.
        frame: Of landmark CSVs; told by their header where None.

    Raises:
        DataError: two of them would be written to one name.
    """

    def __init__(self, paths: Sequence[str], frame: str | None = None):
        self.paths, self.frame = list(paths), frame
        self._moved: list[Moved] = []
        taken: dict[str, str] = {}
        for path in self.paths:
            for name in names_of(path):
                if name in taken:
                    raise DataError(
                        f'{path}: its result has the same name, {name}, as that of {taken[name]}, expected files of '
                        'different names'
                    )
                taken[name] = path

    def jobs(self, result: ResultValues) -> list[Callable[[Path], Any]]:
        """What writes each of them into a folder, moved as the result says."""
        if not self.paths:
            return []
        application = Application(
            result.transform, result.transform, result.geometry, fixed_grid=result.geometry,
            moving_grid=result.moving.geometry, frame=self.frame,
        )  # fmt: skip
        return [partial(self._move, application, path) for path in self.paths]

    def files(self) -> list[str]:
        """Names of the files that were written."""
        return [name for moved in self._moved for name in moved.files]

    def _move(self, application: Application, path: str, folder: Path) -> None:
        if is_mesh_file(path):
            moved = application.mesh(path, 'moving_to_fixed', folder)
        elif is_landmark_file(path):
            moved = application.landmarks(path, 'moving_to_fixed', folder)
        else:
            moved = application.image(path, 'auto', folder)
        self._moved.append(moved)
