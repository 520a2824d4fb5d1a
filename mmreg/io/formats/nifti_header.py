"""What a NIfTI or Analyze header says: sizes, type, units, intent, and where the voxels are in the world."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmreg.errors import DataError
from mmreg.io.files import warn

#: Which of the two positions in a header counts; None: the sform where it is set, as in SPM, FSL and nibabel.
POSITIONS = ('sform', 'qform')
#: Both positions are told apart where they differ by more than this somewhere, voxels ...
_NOTED = 0.5
#: ... and count as the same below this: the qform then, whose axes are perpendicular to the last bit.
_SAME = 0.01
_MILLIMETRES = {1: 1000.0, 3: 0.001}
TIME_UNITS = {8: 'sec', 16: 'msec', 24: 'usec', 32: 'hz', 40: 'ppm', 48: 'rads'}
SECONDS = {'sec': 1.0, 'msec': 1e-3, 'usec': 1e-6}
_VECTOR_INTENTS = (1006, 1007)
_COLOURS = {128: 3, 2304: 4}


@dataclass(frozen=True)
class NiftiHeader:
    """A parsed header.

    Attributes:
        path: The file.
        fields: One record of nibabel's header type, in native byte order.
        order: Byte order of the file, '<' or '>'.
        kind: 'single', 'pair' or 'analyze'.
    """

    path: Path
    fields: np.void
    order: Literal['<', '>']
    kind: str

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The axes that the header counts."""
        count = int(self.fields['dim'][0])
        if not 1 <= count <= 7:
            raise self._error(f'found {count} axes', 'expected one to seven')
        sizes = [int(n) for n in self.fields['dim'][1 : count + 1]]
        sizes = [max(n, 1) if axis >= 3 and n == 0 else n for axis, n in enumerate(sizes)]
        if min(sizes) < 1:
            raise self._error(f'found the sizes {tuple(sizes)}', 'expected positive numbers')
        return tuple(sizes)

    @property
    def components(self) -> int:
        """Numbers per voxel: those of a vector image (intents 1006 and 1007, fifth axis) or of a colour."""
        if self.colour:
            return self.colour
        sizes = self.sizes
        return sizes[4] if len(sizes) == 5 and self.intent in _VECTOR_INTENTS else 1

    @property
    def colour(self) -> int:
        """3 for RGB, 4 for RGBA, else 0."""
        return _COLOURS.get(int(self.fields['datatype']), 0)

    @property
    def intent(self) -> int:
        """Code of the intent; 0 where the format has none."""
        return int(self.fields['intent_code']) if self.kind != 'analyze' else 0

    @property
    def intent_name(self) -> str:
        """Name of the intent; empty where the format has none."""
        if self.kind == 'analyze':
            return ''
        return bytes(self.fields['intent_name']).split(b'\0')[0].decode('latin-1').strip()

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """Sizes of the axes of the image, those of components left out and single ones at the end dropped."""
        sizes = list(self.sizes)
        if self.components > 1 and not self.colour:
            sizes = sizes[:4]
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        if len(sizes) == 3 and self.components > 1 and not self.colour and self._is_flat:
            sizes.pop()
        return tuple(sizes + [1] * (2 - len(sizes)))

    @property
    def _is_flat(self) -> bool:
        """Vectors of an image with two axes are written behind a third one of size 1 that says nothing."""
        third = np.concatenate([self.fields['srow_z'], [self.fields['pixdim'][3], self.fields['srow_x'][2]]])
        nothing = np.allclose(third, [0, 0, 1, 0, 1, 0]) or not int(self.fields['sform_code'])
        return self.sizes[2] == 1 and (self.components == 2 or nothing)

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return min(3, len(self.axes))

    @cached_property
    def dtype(self) -> np.dtype:
        """Type of one stored number, in the byte order of the file."""
        code = int(self.fields['datatype'])
        types = _numpy_types()
        if code not in types:
            raise self._error(f'found the data type {code}', 'expected one of NIfTI')
        dtype = types[code].newbyteorder(self.order)
        if int(self.fields['bitpix']) not in (0, 8 * dtype.itemsize):
            raise self._error(
                f'found {int(self.fields["bitpix"])} bits per voxel', f'expected {8 * dtype.itemsize} of {dtype.name}'
            )
        return dtype

    @property
    def data_bytes(self) -> int:
        """Length of the voxels."""
        return math.prod(self.sizes) * self.dtype.itemsize

    @property
    def offset(self) -> int:
        """Where the voxels begin, from the start of the file that holds them."""
        found = float(self.fields['vox_offset'])
        first = self.fields.dtype.itemsize if self.kind == 'single' else 0
        if not 0 <= found < 2**40:
            raise self._error(f'found voxels that begin at byte {found:g}', 'expected a place in the file')
        return max(first, int(found))

    @property
    def scaling(self) -> tuple[float, float]:
        """Slope and intercept; (1, 0) where nothing is scaled."""
        if self.kind == 'analyze':
            return 1.0, 0.0
        slope, intercept = float(self.fields['scl_slope']), float(self.fields['scl_inter'])
        if slope == 0 or math.isnan(slope):
            return 1.0, 0.0
        if not math.isfinite(slope) or not math.isfinite(intercept):
            raise self._error(f'found a slope of {slope} and an intercept of {intercept}', 'expected numbers')
        return slope, intercept

    @property
    def time(self) -> tuple[float, str] | None:
        """Distance of two volumes in the header's own unit, and that unit ('' where it names none)."""
        if self.kind == 'analyze' or len(self.axes) < 4:
            return None
        step = float(self.fields['pixdim'][4])
        return (step if math.isfinite(step) else 0.0), TIME_UNITS.get(int(self.fields['xyzt_units']) & 0x38, '')

    def position(self, wanted: str | None = None) -> tuple[np.ndarray, int | None]:
        """(ndim+1, ndim+1) voxel -> RAS mm, and the code of the world (1 scanner, 2 aligned, 3 Talairach, 4 MNI).

        Args:
            wanted: one of :data:`POSITIONS`, or None for the sform where it is set and the qform elsewhere. Where both
                are set and differ it says so; where neither is set, SPM's, FSL's and nibabel's assumption counts: the
                first axis runs to the patient's left, the middle of the image is the origin.

        Raises:
            DataError: spacing or position are no grid, or the wanted one is not set.
        """
        self._check_spacing()
        found = {name: value for name in POSITIONS if (value := self._set(name)) is not None}
        if wanted is not None and wanted not in found:
            raise self._error(f'found no {wanted} in the header', f'expected one ({", ".join(found) or "none"} is set)')
        if not found:
            warn(
                f'{self.path}: the header has no orientation (qform and sform code 0): the first axis was taken to run '
                "to the patient's left, as in SPM, FSL and nibabel; ITK takes it otherwise, so check left and right"
            )
            return self._planar(self._assumed()), None
        name = wanted or next(iter(found))
        matrix, code = found[name]
        if wanted is None and len(found) == 2:
            name, (matrix, code) = self._judged(found)
        self._check_perpendicular(name, matrix, found)
        return self._planar(matrix), code

    def _judged(self, found: dict[str, tuple[np.ndarray, int]]) -> tuple[str, tuple[np.ndarray, int]]:
        """Sform, or qform where it says the same; a difference is told."""
        (sform, code), (qform, _) = found['sform'], found['qform']
        corners = np.array([(*c, 1) for c in product(*[(0, n - 1) for n in (*self.axes[: self.ndim], 1)[:3]])])
        apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
        voxel = float(np.abs(self.fields['pixdim'][1 : 1 + self.ndim]).min())
        if apart <= _SAME * voxel:
            return 'qform', (qform, code)
        self._check_perpendicular('sform', sform, found)
        if apart > _NOTED * voxel:
            warn(
                f'{self.path}: sform and qform of the header are up to {apart:.3g} mm apart; the sform was used, as in '
                'SPM, FSL and nibabel (--position qform takes the other)'
            )
        return 'sform', found['sform']

    def _set(self, name: str) -> tuple[np.ndarray, int] | None:
        """(4x4 matrix in mm, code) of a position, None where its code is 0."""
        if self.kind == 'analyze' or int(self.fields[f'{name}_code']) <= 0:
            return None
        scale = _MILLIMETRES.get(int(self.fields['xyzt_units']) & 7, 1.0)
        matrix = self._sform() if name == 'sform' else self._qform()
        matrix[:3] *= scale
        return matrix, int(self.fields[f'{name}_code'])

    def _sform(self) -> np.ndarray:
        rows = [self.fields[f'srow_{axis}'] for axis in 'xyz']
        return np.vstack([np.array(rows, dtype=np.float64), [0, 0, 0, 1]])

    def _qform(self) -> np.ndarray:
        from nibabel.quaternions import fillpositive, quat2mat

        numbers = np.array([self.fields[f'quatern_{x}'] for x in 'bcd'], dtype=np.float64)
        try:
            rotation = quat2mat(fillpositive(numbers, w2_thresh=-1e-5))
        except ValueError as error:
            raise self._error('found a qform that is no rotation', 'expected a quaternion') from error
        pixdim = self.fields['pixdim'].astype(np.float64)
        steps = [step if step > 0 else 1.0 for step in pixdim[1:4]]
        steps[2] *= -1.0 if pixdim[0] < 0 else 1.0
        matrix = np.eye(4)
        matrix[:3, :3] = rotation * steps
        matrix[:3, 3] = [self.fields[f'qoffset_{axis}'] for axis in 'xyz']
        return matrix

    def _assumed(self) -> np.ndarray:
        scale = 1.0 if self.kind == 'analyze' else _MILLIMETRES.get(int(self.fields['xyzt_units']) & 7, 1.0)
        steps = scale * np.abs(self.fields['pixdim'][1:4].astype(np.float64))
        steps[steps == 0] = 1.0
        matrix = np.diag([-steps[0], steps[1], steps[2], 1.0])
        sizes = np.array((*self.axes[: self.ndim], 1)[:3])
        matrix[:3, 3] = -matrix[:3, :3] @ ((sizes - 1) / 2)
        return matrix

    def _planar(self, matrix: np.ndarray) -> np.ndarray:
        keep = [*range(self.ndim), 3]
        return matrix[np.ix_(keep, keep)]

    def _check_spacing(self) -> None:
        spacing = tuple(float(s) for s in self.fields['pixdim'][1 : 1 + min(3, len(self.sizes))])
        if not all(0 < s < math.inf for s in spacing) and not (self.kind == 'analyze' and max(map(abs, spacing)) > 0):
            raise self._error(f'found a voxel spacing of {spacing} mm', 'expected positive numbers')

    def _check_perpendicular(self, name: str, matrix: np.ndarray, found: dict[str, Any]) -> None:
        from .build import check_matrix

        try:
            check_matrix(self._planar(matrix), self.path)
        except DataError as error:
            other = 'qform' if name == 'sform' else 'sform'
            if other not in found:
                raise
            raise DataError(
                f'{str(error).replace("the affine", f"the {name} of the header")} (--position {other} takes the other '
                'position in this header)'
            ) from error

    def _error(self, found: str, expected: str) -> DataError:
        return DataError(f'{self.path}: {found} in the NIfTI header, {expected}')


def parse(block: bytes, path: Path) -> NiftiHeader | None:
    """The header in the first 540 bytes of a file; None where there is none.

    Raises:
        DataError: a header whose own fields contradict each other.
    """
    from nibabel.nifti1 import header_dtype as one
    from nibabel.nifti2 import header_dtype as two

    orders: tuple[Literal['<', '>'], ...] = ('<', '>')
    for order in orders:
        for size, layout in ((348, one), (540, two)):
            if len(block) < size or struct.unpack_from(order + 'i', block)[0] != size:
                continue
            record = np.frombuffer(block[:size], layout.newbyteorder(order))[0].astype(layout)
            return NiftiHeader(path, record, order, _kind(bytes(block[4:8] if size == 540 else block[344:348])))
    return None


def _kind(magic: bytes) -> str:
    return {b'n+1\0': 'single', b'n+2\0': 'single', b'ni1\0': 'pair', b'ni2\0': 'pair'}.get(magic, 'analyze')


def _numpy_types() -> dict[int, np.dtype]:
    """NIfTI's codes of types, those of colours as their components."""
    from nibabel.nifti1 import data_type_codes

    found: dict[int, np.dtype] = {}
    for code in data_type_codes.value_set('code'):
        dtype: np.dtype = np.dtype(data_type_codes.dtype[code])  # type: ignore[call-overload]
        if code not in _COLOURS and dtype.itemsize and dtype.kind in 'iufc':
            found[int(str(code))] = dtype
    return {**found, 128: np.dtype('(3,)u1'), 2304: np.dtype('(4,)u1')}
