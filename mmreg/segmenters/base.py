"""What all segmenters share: class numbers to label values, the image's grid, and a cache on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Volume, resample_to
from mmreg.text import LabelSet, get_label_set, phrase
from mmreg.utils.atomic import replacing


class Segmenter:
    """Label map of an image in the numbering of a label set; subclasses implement :meth:`segment`.

    Args:
        label_set: The labels that the model knows.
        classes: What the segmenter's numbers stand for: None: the label set's own; a segmenter that the set has a map
            of (``'freesurfer'``, ``'synthseg'``, ``'totalsegmentator'``) or another label set (matched by names); or a
            dict of number -> label value. Everything else becomes background.
        cache_dir: Folder in which results are kept, by image and settings; none by default.

    Raises:
        ConfigError: the label set or the classes are unknown.
    """

    def __init__(
        self,
        label_set: str | Mapping[str, Any] | LabelSet,
        classes: str | Mapping[int | str, int] | None = None,
        cache_dir: str | None = None,
    ):
        self.label_set = get_label_set(label_set)
        self.classes = _mapping(self.label_set, classes)
        self.cache_dir = Path(cache_dir) if cache_dir else None

    def segment(self, image: Volume, path: str, name: str) -> Volume:
        """Classes of ``image`` as integers, on any grid of the same world.

        Args:
            image: The image, float32.
            path: Its file, '' where it has none.
            name: What the data set calls it.
        """
        raise NotImplementedError

    def class_names(self) -> Mapping[int, str]:
        """Names of the classes, where the segmenter knows them."""
        return {}

    def settings(self) -> dict[str, Any]:
        """What a result depends on besides the image."""
        plain = {key: value for key, value in vars(self).items() if isinstance(value, str | int | float | bool | dict)}
        return {'type': type(self).__name__, 'label_set': dict(self.label_set.labels), **plain}

    def __call__(self, image: np.ndarray, geometry: Geometry, path: str = '', name: str = '') -> np.ndarray:
        """Label map ``(1, *spatial)`` int16 on the grid of ``image`` ``(C, *spatial)``.

        Raises:
            DataError: the segmentation is missing or holds no whole numbers.
        """
        name = name or Path(path).name.split('.')[0]
        file = self._file(image, geometry, f'{path}:{name}')
        if file is not None and file.is_file():
            with np.load(file) as stored:
                return stored['labels']
        array = np.ascontiguousarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1), dtype=np.float32)
        found = self.segment(Volume(array, geometry), path, name)
        labels = resample_to(self._mapped(found, path), geometry, 'nearest').channel_first().astype(np.int16)
        if file is not None:
            with replacing(file) as temporary, open(temporary, 'wb') as stream:
                np.savez_compressed(stream, labels=labels)
        return labels

    def told(self, volume: Volume, path: str = '') -> Volume:
        """A label map that a user hands over, in the numbering of the label set.

        It is read as this segmenter's own results are, unless it holds numbers that the segmenter does not have and the
        label set does: then it is in the label set's numbering already.
        """
        values = set(np.unique(volume.array).tolist()) - {0}
        numbers = {key for key in self.classes or () if isinstance(key, int)}
        if not values <= numbers and values <= set(self.label_set.values):
            return volume
        return self._mapped(volume, path)

    def _file(self, image: np.ndarray, geometry: Geometry, path: str) -> Path | None:
        if self.cache_dir is None:
            return None
        key = hashlib.sha256(np.ascontiguousarray(image).tobytes())
        key.update(np.ascontiguousarray(geometry.affine).tobytes())
        key.update(json.dumps({**self.settings(), 'path': path}, sort_keys=True, default=str).encode())
        return self.cache_dir / f'{key.hexdigest()[:32]}.npz'

    def _mapped(self, volume: Volume, path: str) -> Volume:
        array = np.asarray(volume.array)
        if np.issubdtype(array.dtype, np.floating):
            if not np.array_equal(array, np.rint(array)):
                raise DataError(f'{path or "the image"}: {type(self).__name__} gave fractions, expected class numbers.')
            array = array.astype(np.int64)
        if self.classes is None:
            strange = sorted(set(np.unique(array).tolist()) - set(self.label_set.values))
            if strange:
                raise DataError(
                    f'{path or "the image"}: {type(self).__name__} gave the labels {strange[:8]}, expected those of '
                    f'the label set {self.label_set.name!r}; say what they stand for with classes=.'
                )
            return Volume(array.astype(np.int16), volume.geometry)
        values, inverse = np.unique(array, return_inverse=True)
        names = self.class_names()
        table = {phrase(key) if isinstance(key, str) else key: value for key, value in self.classes.items()}
        new = [table.get(phrase(names[int(v)]) if int(v) in names else int(v), 0) for v in values]
        return Volume(np.array(new, dtype=np.int16)[inverse].reshape(array.shape), volume.geometry)


def _mapping(label_set: LabelSet, classes: str | Mapping[int | str, int] | None) -> dict[int | str, int] | None:
    if classes is None:
        return None
    if isinstance(classes, str):
        return label_set.mapping_from(classes)
    mapping = {int(key) if str(key).isdigit() else key: int(value) for key, value in classes.items()}
    strange = sorted(set(mapping.values()) - set(label_set.values))
    if strange:
        raise ConfigError(f'classes has the label values {strange}, expected those of {label_set.name!r}.')
    return mapping
