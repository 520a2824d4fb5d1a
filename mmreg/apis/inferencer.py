"""Registering two images with a model: the steps between files and network, and back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from mmreg.errors import DataError
from mmreg.io import Landmarks, resample_to, split_suffix
from mmreg.models import Registrar
from mmreg.spatial import displacement_to_grid

from . import measure, steps
from .inputs import Image, ImageLike, LandmarksLike, check_label_sets, digest, load_image, load_labels
from .model import init_model
from .preparation import Preparation, find_preparation, on_grid, range_warning, working_grid
from .prompts import label_inputs
from .provenance import describe_run
from .result import RegistrationResult
from .rigidity import add_rigidity


class RegistrationInferencer:
    """Registers pairs of images with one model.

    Both images may have any size, spacing and orientation. The network works on a grid made from the fixed image (see
    :func:`~mmreg.apis.preparation.working_grid`); its displacement is brought back to the fixed image's own grid, and
    everything is sampled once from the original moving voxels.

    Args:
        config: Config path, Config, or a model that is already built.
        checkpoint: Weights.
        device: ``'cpu'``, ``'cuda'``, ...; the GPU where there is one by default.
        cfg_options: Changes of config keys.
        preparation: What is done to the images; found in the config and the checkpoint by default.
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.

    Example:
        >>> register = RegistrationInferencer('configs/eoir_lumir.py', 'eoir.pth')  # doctest: +SKIP
        >>> register('fixed.nii.gz', 'moving.nrrd', out_dir='out').metrics  # doctest: +SKIP
    """

    def __init__(
        self,
        config: str | Path | Config | Registrar,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        preparation: Preparation | None = None,
        label_sets: str = 'equal',
        labels: Sequence[int] | None = None,
    ):
        if isinstance(config, Registrar):
            self.model = config if device is None else config.to(device)
        else:
            self.model = init_model(config, checkpoint, device, cfg_options)
        self.model.eval()
        self.cfg = getattr(self.model, 'cfg', None)
        meta = getattr(self.model, 'checkpoint_meta', {})
        self.preparation = preparation or find_preparation(self.cfg or {}, meta)
        self.label_sets, self.labels = label_sets, labels

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return next((p.device for p in self.model.parameters()), torch.device('cpu'))

    @torch.no_grad()
    def __call__(
        self,
        fixed: ImageLike,
        moving: ImageLike,
        *,
        fixed_labels: ImageLike | None = None,
        moving_labels: ImageLike | None = None,
        fixed_prompt: ImageLike | None = None,
        fixed_landmarks: LandmarksLike | None = None,
        moving_landmarks: LandmarksLike | None = None,
        landmark_frame: str | None = None,
        affine: np.ndarray | str | None = None,
        case_id: str | None = None,
        inverse: bool = True,
        metrics: bool = True,
        out_dir: str | Path | None = None,
    ) -> RegistrationResult:
        """Register one pair.

        Args:
            fixed: Path, Volume, SimpleITK image or (array, geometry).
            moving: The same; it may live on any other grid in the same world.
            fixed_labels: Label map on the grid of ``fixed``; scored where both are given.
            moving_labels: Label map on the grid of ``moving``; warped with nearest neighbour.
            fixed_prompt: Label map of the fixed image that a prompted model sees and no metric uses; made by the
                segmenter of the config where None.
            fixed_landmarks: Points of the fixed image: CSV, Slicer file, Landmarks or ``(P, ndim)`` RAS mm.
            moving_landmarks: Their partners.
            landmark_frame: ``'voxel'``, ``'ras'`` or ``'lps'`` of CSV files; told from the file by default.
            affine: ``(ndim+1, ndim+1)`` fixed world -> moving world in RAS mm, known beforehand; ``'centres'`` shifts
                the centre of the fixed grid to that of the moving one.
            case_id: Name of the pair; made from the two file names by default.
            inverse: Compute the inverse displacement.
            metrics: Compute numbers and warnings.
            out_dir: Folder to write everything to; nothing is written where None.

        Raises:
            DataError: one sentence for whatever is wrong with an input.
        """
        started, timings = time.perf_counter(), dict[str, float]()
        given = dict(
            fixed=fixed, moving=moving, fixed_labels=fixed_labels, moving_labels=moving_labels,
            fixed_prompt=fixed_prompt,
            fixed_landmarks=fixed_landmarks, moving_landmarks=moving_landmarks,
        )  # fmt: skip
        with _timed(timings, 'read'):
            images = self._load_images(fixed, moving)
            labels = self._load_labels(fixed_labels, moving_labels, images)
            prompts = {**labels}
            if fixed_prompt is not None:
                prompts['prompt'] = load_labels(fixed_prompt, 'fixed_prompt', images['fixed'])
            points = steps.load_points(fixed_landmarks, moving_landmarks, images, landmark_frame)
        matrix = None if affine is None else steps.checked_affine(affine, images)
        overlap = steps.overlap_percent(images, matrix)
        displacement = self._displacement(images, prompts, matrix, timings)
        with _timed(timings, 'outputs'):
            result = steps.on_fixed_grid(case_id or _pair_name(fixed, moving), displacement, images, matrix)
            if inverse:
                result.inverse_displacement, result.inverse_residual = steps.inverse_of(displacement, result.geometry)
            steps.follow(result, labels, points)
        if metrics:
            with _timed(timings, 'metrics'):
                self._measure(result, labels, points, overlap)
        result.timings = {**timings, 'total': time.perf_counter() - started}
        inputs = {
            key: {'path': _path(value), 'sha256': digest(value)} for key, value in given.items() if value is not None
        }
        result.provenance = describe_run(self, result, inputs)
        if out_dir is not None:
            result.save(out_dir)
        return result

    def _load_images(self, fixed: ImageLike, moving: ImageLike) -> dict[str, Image]:
        channels = self.model.backbone.spec.image_channels
        images = {'fixed': load_image(fixed, 'fixed', channels), 'moving': load_image(moving, 'moving', channels)}
        for image in images.values():
            if image.geometry.ndim != self.model.ndim:
                raise DataError(
                    f'{image.name}: found a {image.geometry.ndim}-D image, expected {self.model.ndim}-D for this model'
                )
        return images

    def _load_labels(
        self, fixed: ImageLike | None, moving: ImageLike | None, images: Mapping[str, Image]
    ) -> dict[str, Image]:
        sources = {'fixed': fixed, 'moving': moving}
        labels = {
            role: load_labels(source, f'{role}_labels', images[role])
            for role, source in sources.items()
            if source is not None
        }
        if len(labels) == 2:
            check_label_sets(labels['fixed'], labels['moving'], self.label_sets, self.labels)
        return labels

    def _displacement(
        self,
        images: Mapping[str, Image],
        labels: Mapping[str, Image],
        affine: np.ndarray | None,
        timings: dict[str, float],
    ) -> np.ndarray:
        """Displacement on the fixed image's own grid, ``(ndim, *S)`` float32 voxels."""
        fixed, moving = images['fixed'], images['moving']
        with _timed(timings, 'prepare'):
            grid = working_grid(fixed.geometry, self.preparation)
            prepared = on_grid(fixed.volume, grid, self.preparation, role='fixed')
            arrays = {'fixed': prepared, 'moving': on_grid(moving.volume, grid, self.preparation, affine, 'moving')}
            head = self.model.flow_head
            arrays |= label_inputs(self.cfg or {}, head, images, labels, prepared, grid, affine)
            batch = {key: _as_batch(array, self.device) for key, array in arrays.items()}
        with _timed(timings, 'network'):
            displacement = self.model(batch, mode='tensor').displacement.float()
            if displacement.device.type == 'cuda':
                torch.cuda.synchronize(displacement.device)
        if not torch.isfinite(displacement).all():
            raise DataError(f'{moving.name}: the model returned a displacement that is not finite, expected numbers')
        if grid != fixed.geometry:
            source, target = (torch.tensor(g.affine) for g in (grid, fixed.geometry))
            displacement = displacement_to_grid(displacement.cpu(), source, target, fixed.geometry.shape)
        return displacement[0].cpu().numpy()

    def _measure(
        self,
        result: RegistrationResult,
        labels: Mapping[str, Image],
        points: Mapping[str, Landmarks],
        overlap: float,
    ) -> None:
        geometry, case = result.geometry, result.case_id
        if len(labels) == 2 and result.warped_labels is not None:
            before = resample_to(labels['moving'].volume, geometry, 'nearest').array
            fixed = labels['fixed'].volume.array
            result.rows += measure.label_rows(
                case, fixed, result.warped_labels.array, before, geometry.spacing, self.labels
            )
        if len(points) == 2 and result.landmarks_in_moving is not None:
            target = points['moving'].in_world(result.moving.geometry)
            result.rows += measure.landmark_rows(
                case, result.landmarks_in_moving.points, target, points['fixed'].in_world(geometry)
            )
        result.rows += measure.field_rows(case, result.displacement)
        if self.preparation.rigidity:
            add_rigidity(result, self.labels)
        mapped = measure.inside_percent(
            measure.mapped_points(geometry, result.displacement, result.affine), result.moving.geometry
        )
        result.metrics = {
            **measure.summary(result.rows),
            'overlap_percent': overlap,
            'mapped_inside_percent': mapped,
        }
        if result.inverse_residual is not None:
            result.metrics['inverse_residual_mm'] = vars(result.inverse_residual)
        ranges = [range_warning(x.volume.array, x.name, self.preparation) for x in (result.fixed, result.moving)]
        result.warnings += [text for text in ranges if text]
        result.warnings += measure.warnings_in_words(
            overlap, mapped, result.rows, result.inverse_residual, min(geometry.spacing)
        )
        if not getattr(self.model, 'checkpoint', None) and any(True for _ in self.model.parameters()):
            result.warnings.append('no checkpoint was given: the weights are random and the result means nothing.')


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - start


def _as_batch(image: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(image)[None].to(device)


def _path(source: Any) -> str | None:
    return os.fspath(source) if isinstance(source, str | Path) else None


def _pair_name(fixed: Any, moving: Any) -> str:
    names = [
        split_suffix(x)[0] if isinstance(x, str | Path) else role for role, x in (('fixed', fixed), ('moving', moving))
    ]
    return '__'.join(names)
