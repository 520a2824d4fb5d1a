"""One pair as a user hands it over, read and checked: images, label maps, masks, landmarks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmreg.errors import DataError
from mmreg.io import ImageFile, Landmarks, split_suffix
from mmreg.io.files import noted
from mmreg.io.landmarks import paired
from mmreg.registration.files import PairFiles
from mmreg.registration.types import LandmarksLike

from .images import Image, check_label_sets, digest, load_image, load_labels, load_landmarks, load_mask

#: More channels than this are a time series rather than contrasts of one scan.
MOST_CHANNELS = 8


@dataclass(frozen=True)
class Pair:
    """What is known of one pair.

    Attributes:
        case_id: Its name.
        images: ``fixed`` and ``moving``.
        labels: Of them ``fixed`` and ``moving`` (scored and warped) and ``prompt`` (seen by a prompted model), where
            given.
        masks: The same, ``fixed`` and ``moving``.
        points: The same.
        given: Path and SHA-256 of everything that was handed over, for the plan.
        remarks: What was found in the files that deserves a look, in words.
    """

    case_id: str
    images: Mapping[str, Image]
    labels: Mapping[str, Image] = field(default_factory=dict)
    masks: Mapping[str, Image] = field(default_factory=dict)
    points: Mapping[str, Landmarks] = field(default_factory=dict)
    given: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def fixed(self) -> Image:
        """The fixed image."""
        return self.images['fixed']

    @property
    def moving(self) -> Image:
        """The moving image."""
        return self.images['moving']

    @property
    def scored(self) -> dict[str, Image]:
        """Label maps that metrics may see."""
        return {role: image for role, image in self.labels.items() if role != 'prompt'}


def read_pair(
    files: PairFiles | Mapping[str, Any],
    case_id: str | None = None,
    *,
    channels: int | None = 1,
    landmark_frame: str | None = None,
    label_sets: str = 'equal',
    label_values: list[int] | None = None,
) -> Pair:
    """Read what a user gave.

    Args:
        files: What was handed over, or a mapping with the same names.
        case_id: Name of the pair; made from the two file names by default.
        channels: How many each image must have; None: any, the same in both.
        landmark_frame: Frame of landmark files; told from the file by default.
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        label_values: Label values to look at; all by default.

    Raises:
        DataError: one sentence for whatever is wrong with one of them.
    """
    given = (files if isinstance(files, PairFiles) else PairFiles(**files)).given()
    with noted() as remarks:
        return _read(given, case_id, channels, landmark_frame, label_sets, label_values, remarks)


def _read(
    given: Mapping[str, Any],
    case_id: str | None,
    channels: int | None,
    landmark_frame: str | None,
    label_sets: str,
    label_values: list[int] | None,
    remarks: Sequence[str],
) -> Pair:
    images = {role: load_image(given[role], role, channels) for role in ('fixed', 'moving')}
    _check_like(images)
    labels = {}
    for role in ('fixed', 'moving', 'prompt'):
        key = 'fixed_prompt' if role == 'prompt' else f'{role}_labels'
        if key in given:
            labels[role] = load_labels(given[key], key, images['fixed' if role == 'prompt' else role])
    if 'fixed' in labels and 'moving' in labels:
        check_label_sets(labels['fixed'], labels['moving'], label_sets, label_values)
    masks = {
        role: load_mask(given[f'{role}_mask'], f'{role}_mask', images[role])
        for role in ('fixed', 'moving')
        if f'{role}_mask' in given
    }
    points = load_points(given.get('fixed_landmarks'), given.get('moving_landmarks'), images, landmark_frame)
    described = {key: {'path': _path(value), 'sha256': digest(value), **_how(value)} for key, value in given.items()}
    name = case_id or pair_name(given['fixed'], given['moving'])
    return Pair(name, images, labels, masks, points, described, remarks)


def load_points(
    fixed: LandmarksLike | None, moving: LandmarksLike | None, images: Mapping[str, Image], frame: str | None
) -> dict[str, Landmarks]:
    """Landmarks by role, ``'fixed'`` and ``'moving'``, where they are given; both together must be pairs."""
    sources = {'fixed': fixed, 'moving': moving}
    points = {
        role: load_landmarks(source, f'{role}_landmarks', images[role].geometry, frame)
        for role, source in sources.items()
        if source is not None
    }
    if len(points) == 2:
        names = ('fixed_landmarks', 'moving_landmarks')
        points['fixed'], points['moving'] = paired(points['fixed'], points['moving'], names)
    return points


def _check_like(images: Mapping[str, Image]) -> None:
    fixed, moving = images['fixed'], images['moving']
    if fixed.geometry.ndim != moving.geometry.ndim:
        raise DataError(
            f'{moving.name}: found a {moving.geometry.ndim}-D image, expected {fixed.geometry.ndim}-D as {fixed.name}'
        )
    for image in (fixed, moving):
        if image.volume.channels > MOST_CHANNELS:
            raise DataError(
                f'{image.name}: found {image.volume.channels} channels, expected at most {MOST_CHANNELS}; --frame N '
                'chooses one volume of a time series'
            )
    if fixed.volume.channels != moving.volume.channels:
        raise DataError(
            f'{moving.name}: found {moving.volume.channels} channels, expected {fixed.volume.channels} as in '
            f'{fixed.name}'
        )


def _path(source: Any) -> str | None:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else None


def _how(source: Any) -> dict[str, Any]:
    """What was said about how to read a file, for the plan."""
    if not isinstance(source, ImageFile):
        return {}
    known = {'frame': source.frame, 'series': source.series, 'position': source.position}
    return {key: value for key, value in known.items() if value is not None}


def pair_name(fixed: Any, moving: Any) -> str:
    """Name of a pair from its two files."""
    names = [
        split_suffix(os.fspath(source))[0] if isinstance(source, str | os.PathLike) else role
        for role, source in (('fixed', fixed), ('moving', moving))
    ]
    return '__'.join(names)
