"""What can be told from one image file without a human: modality, field of view, slices, how its border looks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from mmreg.io import Geometry, ImageFile, Volume, resample_to
from mmreg.io.dicom import is_dicom_file, series_files
from mmreg.registration.inputs import Image

#: Voxels along the longest side of the small copy that everything is looked at in.
_SMALL = 28
#: The same of the copy in which tissues are told apart.
_COPY = 48
#: Hounsfield units: air in lungs, soft tissue, and bone from here on.
_LUNG, _SOFT, _BONE = (-950.0, -500.0), (-200.0, 300.0), 300.0
_TAGS = {'modality': '0008|0060', 'body part': '0018|0015', 'description': '0008|103e', 'protocol': '0018|1030'}
#: Below this share of the bright end an image is called dark.
_DARK = 0.15


@dataclass(frozen=True, eq=False)
class Look:
    """One image as far as a program sees.

    Attributes:
        name: Its path or role.
        geometry: Its grid.
        small: A smoothed copy of few voxels (first channel).
        copy: The same with some more.
        tags: DICOM tags by plain names; empty for other files.
    """

    name: str
    geometry: Geometry
    small: Volume
    copy: Volume
    tags: dict[str, str]

    @cached_property
    def extents(self) -> dict[str, float]:
        """Field of view in mm along ``'LR'``, ``'AP'`` and ``'SI'``."""
        names = {'L': 'LR', 'R': 'LR', 'A': 'AP', 'P': 'AP', 'S': 'SI', 'I': 'SI'}
        sizes = np.asarray(self.geometry.shape) * np.asarray(self.geometry.spacing)
        return {names[code]: float(size) for code, size in zip(self.geometry.codes, sizes)}

    @cached_property
    def slices(self) -> tuple[int, float, float] | None:
        """Number, thickness (mm) and direction (degrees from the nearest anatomical axis) of thick slices.

        None where no axis is much coarser than the two others.
        """
        spacing = np.asarray(self.geometry.spacing)
        axis = int(spacing.argmax())
        if self.geometry.ndim != 3 or spacing[axis] < 2.5 * np.sort(spacing)[1] or spacing[axis] < 2:
            return None
        tilt = float(np.degrees(np.arccos(np.clip(np.abs(self.geometry.direction[:, axis]).max(), 0, 1))))
        return self.geometry.shape[axis], float(spacing[axis]), tilt

    @cached_property
    def slice_axis(self) -> str:
        """Anatomical letters of the coarsest axis, such as ``'SI'``."""
        return list(self.extents)[int(np.asarray(self.geometry.spacing).argmax())]

    @cached_property
    def is_ct(self) -> bool:
        """By the DICOM tag, else by Hounsfield units: air far below zero, and much between fat and soft tissue."""
        if self.tags.get('modality'):
            return self.tags['modality'] == 'CT'
        array = self.small.array
        soft = ((array > _SOFT[0]) & (array < _SOFT[1])).mean()
        return bool(array.min() <= -500 and array.max() >= 50 and soft > 0.05)

    @cached_property
    def lung_share(self) -> float:
        """Share of lung among lung and tissue of a CT image; a lung that is cut off by the border counts as well.

        Lung is air with tissue in it: denser than the air around a body, and more than a thin layer of it, as between
        skin and air.
        """
        array = self.small.array
        inner = ndimage.generate_binary_structure(array.ndim, 1)
        lung = (array > _LUNG[0]) & (array < _LUNG[1])
        kept = ndimage.binary_erosion(lung, inner, border_value=1)
        lung = ndimage.binary_dilation(kept, inner) & lung & self._near_tissue(array)
        return float(lung.sum() / max(1, lung.sum() + (array >= _LUNG[1]).sum()))

    @staticmethod
    def _near_tissue(array: np.ndarray) -> np.ndarray:
        """What is no table, mattress or blanket: the parts of air with tissue in it that touch tissue widely."""
        tissue = ndimage.binary_dilation(array >= _LUNG[1])
        parts, count = ndimage.label(array > _LUNG[0])
        touching = ndimage.mean(tissue, parts, range(1, count + 1)) if count else []
        return np.isin(parts, 1 + np.flatnonzero(np.asarray(touching) > 0.3))

    @cached_property
    def body_width(self) -> float:
        """Median over slices of how far tissue reaches from left to right in a CT image, mm."""
        array = self.small.array >= _LUNG[1]
        if array.ndim != 3:
            return 0.0
        names = list(self.extents)
        order = [names.index(name) for name in ('SI', 'LR', 'AP')]
        columns = array.transpose(order).any(axis=2)
        step = self.small.geometry.spacing[order[1]]
        widths = [step * (np.flatnonzero(row)[-1] - np.flatnonzero(row)[0] + 1) for row in columns if row.any()]
        return float(np.median(widths)) if widths else 0.0

    @cached_property
    def bone_share(self) -> float:
        """Share of bone among the tissue of a CT image."""
        array = self.copy.array
        return float((array > _BONE).sum() / max(1, (array >= _LUNG[1]).sum()))

    @cached_property
    def dark_faces(self) -> tuple[int, int]:
        """How many of the faces of the box, slices of a thick stack aside, are dark; and of how many."""
        array = self.small.array
        floor = float(np.percentile(array, 1))
        dark = array - floor < _DARK * (float(np.percentile(array, 99)) - floor)
        axes = [
            axis for axis in range(array.ndim) if not (self.slices and axis == int(np.argmax(self.geometry.spacing)))
        ]
        faces = [np.take(dark, end, axis).mean() > 0.75 for axis in axes for end in (0, -1)]
        return int(sum(faces)), len(faces)

    @cached_property
    def foreground(self) -> np.ndarray:
        """Voxels of the small copy that are not dark."""
        array = self.small.array
        floor = float(np.percentile(array, 1))
        return array - floor > _DARK * (float(np.percentile(array, 99)) - floor)


def look_at(image: Image) -> Look:
    """Look at an image: its header, the DICOM tags of its folder, and a small copy of it."""
    copy = small_copy(image.volume, _COPY)
    tags = {} if image.source is None else dicom_tags(image.source)
    return Look(image.name, image.geometry, small_copy(image.volume), copy, tags)


def small_copy(volume: Volume, voxels: int = _SMALL) -> Volume:
    """The first channel, smoothed and sampled with about ``voxels`` along its longest side."""
    array = volume.array if volume.array.ndim == volume.ndim else volume.array[..., 0]
    wanted = (np.asarray(volume.geometry.shape) * np.asarray(volume.geometry.spacing)).max() / voxels
    pooled = _pooled(Volume(np.asarray(array, dtype=np.float32), volume.geometry), wanted)
    spacing = np.asarray(pooled.geometry.spacing)
    sizes = np.maximum(spacing, wanted)
    smooth = ndimage.gaussian_filter(pooled.array, np.maximum(0.0, (sizes / spacing - 1) / 2), mode='nearest')
    target = pooled.geometry.resampled(tuple(sizes.tolist()))
    return resample_to(Volume(smooth, pooled.geometry), target, fill=float(smooth.min()))


def _pooled(volume: Volume, wanted: float) -> Volume:
    """Means of blocks of whole voxels that are at most half as large as ``wanted`` mm; what is left over is dropped."""
    shape, affine = volume.geometry.shape, volume.geometry.affine.copy()
    factors = [max(1, min(n, int(0.5 * wanted / step))) for n, step in zip(shape, volume.geometry.spacing)]
    if max(factors) == 1:
        return volume
    kept = tuple(slice(0, n // k * k) for n, k in zip(shape, factors))
    blocks = [part for n, k in zip(shape, factors) for part in (n // k, k)]
    array = volume.array[kept].reshape(blocks).mean(axis=tuple(range(1, 2 * len(shape), 2)))
    affine[:-1, -1] += affine[:-1, :-1] @ ((np.asarray(factors) - 1) / 2)
    affine[:-1, :-1] *= factors
    return Volume(array, Geometry(array.shape, affine))


def dicom_tags(source: ImageFile) -> dict[str, str]:
    """Modality, body part, description and protocol of the DICOM series that was read; empty for anything else."""
    path = Path(source)
    if not path.is_dir() and not is_dicom_file(path):
        return {}
    reader = sitk.ImageFileReader()
    reader.SetFileName(series_files(path, source.series)[0] if path.is_dir() else str(path))
    reader.SetImageIO('GDCMImageIO')
    reader.ReadImageInformation()
    found = {key: reader.GetMetaData(tag).strip() for key, tag in _TAGS.items() if reader.HasMetaDataKey(tag)}
    return {key: text.upper() for key, text in found.items() if text}
