"""What belongs to the reference frame, carried to all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io import (
    Transform,
    Volume,
    read_geometry,
    read_labels,
    read_landmarks,
    resample_to,
    write_transform,
    write_volume,
)
from mmreg.io.tables import write_table
from mmreg.populations.scans import Scan
from mmreg.transforms.files import inverted

VOLUME_COLUMNS = ('frame', 'name', 'label', 'volume_ml')


def carry(
    transforms: Mapping[str, Transform],
    frames: Sequence[Scan],
    reference: Scan,
    labels: str | None,
    landmarks: str | None,
    out_dir: Path,
) -> list[dict[str, Any]]:
    """Write the transform of every frame, and what it brings there: ``labels/``, ``landmarks.csv``.

    Args:
        transforms: Frame -> map from the reference to it.
        frames: In their order.
        reference: The frame that the labels and points belong to.
        labels: Label map.
        landmarks: Points.
        out_dir: Where they go.

    Returns:
        Per frame and label its volume (area in 2-D, times 1 mm), :data:`VOLUME_COLUMNS`.
    """
    label_map = None if labels is None else read_labels(labels)
    points = None if landmarks is None else read_landmarks(landmarks)
    world = None if points is None else points.in_world(reference.geometry)
    lines: list[dict[str, Any]] = []
    places: list[list[Any]] = []
    for number, frame in enumerate(frames, 1):
        transform = transforms.get(frame.scan_id)
        if transform is None:
            continue
        write_transform(out_dir / 'transforms' / f'{frame.scan_id}.h5', transform)
        if label_map is not None:
            there = resample_to(label_map, frame.geometry, 'nearest', transform=inverted(transform))
            write_volume(out_dir / 'labels' / f'{frame.scan_id}.nii.gz', there)
            lines += _volumes(number, frame.scan_id, there)
        if world is not None and points is not None:
            names = points.names or [str(n) for n in range(1, len(world) + 1)]
            moved = transform.transform_points(world)
            places += [[number, frame.scan_id, name, *map(float, place)] for name, place in zip(names, moved)]
    if lines:
        write_table(out_dir / 'label_volumes.csv', VOLUME_COLUMNS, lines, digits=8)
    if places and world is not None:
        write_table(
            out_dir / 'landmarks.csv', ('frame', 'name', 'landmark', *'xyz'[: world.shape[1]]), places, digits=8
        )
    return lines


def check_carried(reference: Scan, labels: str | None, landmarks: str | None) -> None:
    """Refuse labels and points that cannot be carried, before any work.

    Raises:
        DataError: missing, unreadable, or of another dimension than the frames.
    """
    ndim = reference.geometry.ndim
    found = None if labels is None else read_geometry(labels, frames=True)
    if found is not None and found.ndim != ndim:
        raise DataError(f'{labels}: found labels in {found.ndim}-D, expected {ndim}-D as the frames')
    if landmarks is not None:
        read_landmarks(landmarks).in_world(reference.geometry)


def _volumes(number: int, name: str, labels: Volume) -> list[dict[str, Any]]:
    voxel = float(np.prod(labels.geometry.spacing)) / 1000
    values, counts = np.unique(labels.array[labels.array != 0], return_counts=True)
    return [
        {'frame': number, 'name': name, 'label': int(value), 'volume_ml': float(count * voxel)}
        for value, count in zip(values, counts)
    ]
