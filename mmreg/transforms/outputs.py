"""Files moved by a transform: which come out of which, read and checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    Landmarks,
    Transform,
    split_suffix,
    write_displacement_image,
    write_landmarks_voxel,
    write_landmarks_world,
    write_transform,
)
from mmreg.io.displacement import is_image_file
from mmreg.io.meshes import is_mesh_file, read_mesh
from mmreg.io.transform_parts import own_grid
from mmreg.io.volumes import WRITABLE, write_sitk
from mmreg.io.voxel_type import as_type, in_type_of
from mmreg.registration.results.folder import replacing_folder

from .apply import apply_transform, transform_landmarks
from .moving import as_image, load_moving

#: Landmarks further than this from where the inverse should bring them are worth a warning, mm.
INEXACT = 0.1
#: What a name gets by the direction in which points go.
_IN = {'fixed_to_moving': '_in_moving', 'moving_to_fixed': '_in_fixed'}
LANDMARK_ENDINGS = ('.csv', '.fcsv', '.json', '.mrk.json')


@dataclass(frozen=True)
class Moved:
    """One input and what became of it."""

    source: str
    files: tuple[str, ...]
    remark: str
    warning: str | None = None


@dataclass(frozen=True)
class Application:
    """What to do with every input.

    Attributes:
        chain: fixed world -> moving world.
        pull: the same, or its inverse: what images are resampled with.
        reference: grid of the resampled images; None where there are none.
        fixed_grid: grid of the fixed image, for landmarks in voxels; None where unknown.
        moving_grid: grid of the moving image.
        image_mode: interpolation of images.
        label_mode: interpolation of label maps.
        fill: value of images outside; None for what suits each.
        output_type: of the voxels of images, one of :data:`mmreg.io.voxel_type.OUTPUT_TYPES`; None for the file's own
            where rounding does not show.
        position: 'sform' or 'qform' of NIfTI headers.
        frame: of landmark CSVs.
        mesh_frame: 'ras' or 'lps' of meshes that do not tell; None for RAS.
    """

    chain: Transform
    pull: Transform
    reference: Geometry | None
    fixed_grid: Geometry | None = None
    moving_grid: Geometry | None = None
    image_mode: str = 'linear'
    label_mode: str = 'nearest'
    fill: float | None = None
    output_type: str | None = None
    position: str | None = None
    frame: str | None = None
    mesh_frame: str | None = None

    def image(self, path: str, kind: str, folder: Path) -> Moved:
        """Write ``<name>_warped`` of an image or a label map."""
        moving = load_moving(path, path, kind, self.position)
        mode = self.label_mode if moving.is_labels else self.image_mode
        fill = 0.0 if moving.is_labels else self.fill
        warped = apply_transform(self.pull, moving, self.reference, mode=mode, fill=fill)
        if self.output_type is not None and not moving.is_labels:
            warped = as_type(warped, self.output_type, moving.dtype, path, fill)
        elif not moving.is_labels:
            warped = as_type(warped, 'input', moving.dtype, path, fill) if moving.is_colour else (
                in_type_of(warped, moving.dtype)
            )  # fmt: skip
        name = _output_name(path)
        write_sitk(folder / name, as_image(warped, moving))
        count = len(np.unique(moving.volume.array[moving.volume.array != 0])) if moving.is_labels else 0
        remark = f'label map with {count} labels, {mode}' if moving.is_labels else f'image, {mode}'
        empty = None if self._meets(moving.volume.geometry) else (
            f'{path}: nothing of it lies on the reference grid; check the order and the direction of the transforms'
        )  # fmt: skip
        return Moved(path, (name,), remark, empty)

    def landmarks(self, path: str, direction: str, folder: Path) -> Moved:
        """Write ``<name>_in_moving`` or ``<name>_in_fixed`` in mm (RAS) and, where the grid is known, in voxels."""
        forward = direction == 'fixed_to_moving'
        here, there = (self.fixed_grid, self.moving_grid) if forward else (self.moving_grid, self.fixed_grid)
        moved, error = transform_landmarks(self.chain, path, direction, grid=here, frame=self.frame)
        stem = f'{split_suffix(path)[0]}{_IN[direction]}'
        names = [f'{stem}.csv']
        write_landmarks_world(folder / names[0], moved.points, names=moved.names)
        if there is not None:
            names.append(f'{stem}_voxel.csv')
            write_landmarks_voxel(folder / names[1], moved.in_voxels(there))
        remark = f'{len(moved.points)} landmarks, {_words(direction)}'
        return Moved(path, tuple(names), remark, _inexact(path, moved, error))

    def mesh(self, path: str, direction: str, folder: Path) -> Moved:
        """Write ``<name>_in_moving`` or ``<name>_in_fixed`` of a mesh: its points move, its topology stays.

        Points go the other way than images: those of the moving image are brought to the fixed one by the inverse of
        what resamples it.
        """
        mesh = read_mesh(path, self.mesh_frame)
        moved, error = transform_landmarks(self.chain, mesh.points, direction)
        name = _mesh_name(path, direction)
        mesh.write(folder / name, moved.points)
        remark = f'mesh of {len(mesh.points)} points ({mesh.frame.upper()} mm), {_words(direction)}'
        return Moved(path, (name,), remark, _inexact(path, moved, error, 'points'))

    def _meets(self, geometry: Geometry) -> bool:
        """Whether any of some points of the reference grid is mapped into ``geometry``."""
        if self.reference is None:
            return True
        axes = [np.linspace(0, n - 1, min(n, 12)) for n in self.reference.shape]
        nodes = np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, self.reference.ndim)
        there = geometry.world_to_voxel(self.pull.transform_points(self.reference.voxel_to_world(nodes)))
        return bool(((there >= -0.5) & (there <= np.asarray(geometry.shape) - 0.5)).all(axis=1).any())


def write_moved(out_dir: str | Path, jobs: Sequence[tuple[str, Callable[[Path], Moved]]]) -> list[Moved]:
    """Run (input, work) pairs and put their files into a folder, all of them or none; its other files stay.

    Raises:
        DataError: two inputs would be written to one name, or the folder cannot be written.
    """
    moved: list[Moved] = []
    taken: dict[str, str] = {}
    with replacing_folder(out_dir, earlier=False) as folder:
        for path, work in jobs:
            before = set(folder.iterdir())
            result = work(folder)
            for name in result.files:
                if name in taken or folder / name in before:
                    raise DataError(
                        f'{path}: its result has the same name, {name}, as that of {taken.get(name)}, expected inputs '
                        'of different names, or one command and folder for each'
                    )
                taken[name] = path
            moved.append(result)
    return moved


def names_of(path: str) -> list[str]:
    """Names of the files that become of something of the moving image."""
    stem, _ = split_suffix(path)
    if is_mesh_file(path):
        return [_mesh_name(path, 'moving_to_fixed')]
    if is_landmark_file(path):
        return [f'{stem}{_IN["moving_to_fixed"]}{ending}' for ending in ('.csv', '_voxel.csv')]
    return [_output_name(path)]


def _mesh_name(path: str, direction: str) -> str:
    """The ending stays whole: programs tell a surface of GIFTI by ``.surf.gii``."""
    stem, suffix = split_suffix(path)
    kind = stem[-5:] if (stem[-5:] + suffix).lower() == '.surf.gii' else ''
    return f'{stem.removesuffix(kind)}{_IN[direction]}{kind}{suffix}'


def is_landmark_file(path: str) -> bool:
    """Tell landmarks from images by the ending."""
    return split_suffix(path)[1].lower() in LANDMARK_ENDINGS


def write_any(path: str | Path, transform: Transform, reference: Geometry | None = None) -> None:
    """Write a transform as ITK file (nothing is sampled), or as displacement image on a grid, by the ending.

    Raises:
        DataError: another ending, or a displacement image without a grid.
    """
    if not is_image_file(path):
        write_transform(path, transform)
        return
    grid = own_grid(transform) if reference is None else reference
    if grid is None:
        raise DataError(f'{path}: found no grid for a displacement image, expected one (--reference) or the ending .h5')
    write_displacement_image(path, transform.displacement_on(grid), grid)


def _output_name(path: str) -> str:
    stem, suffix = split_suffix(Path(path).resolve() if Path(path).name in ('', '.', '..') else path)
    if Path(path).is_dir():
        stem, suffix = stem + suffix, '.nii.gz'
    return f'{stem}_warped{suffix if suffix.lower() in WRITABLE else ".nii.gz"}'


def _words(direction: str) -> str:
    return direction.replace('_', ' ').replace('to', '->')


def _inexact(path: str, moved: Landmarks, error: np.ndarray, what: str = 'landmarks') -> str | None:
    far = int((error > INEXACT).sum())
    if not far:
        return None
    return (
        f'{path}: {far} of {len(moved.points)} {what} have no exact partner (up to {error.max():.3g} mm off): they '
        'lie outside the displacement or where it folds'
    )
