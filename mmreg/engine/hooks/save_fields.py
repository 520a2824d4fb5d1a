"""Displacements of a test run as files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook

from mmreg.io import Geometry, write_displacement_image
from mmreg.registry import HOOKS


@HOOKS.register_module()
class SaveFieldsHook(Hook):
    """Writes the displacement of every tested pair as an ITK displacement image, ``<case>.nii.gz``.

    Slices of one volume (meta ``volume_id``) that follow each other become one volume under its name, in which nothing
    moves through the plane; single slices keep names of their own. The grid is the one the network was measured on.

    Args:
        out_dir: The folder.
    """

    priority = 'LOW'

    def __init__(self, out_dir: str):
        self.out_dir = Path(out_dir)
        self._slices: list[tuple[str, str, np.ndarray, np.ndarray]] = []

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        for sample in outputs or ():
            displacement = sample.pred.displacement.detach().float().cpu().numpy()
            affine, case = np.asarray(sample.affine), str(sample.case_id)
            if displacement.shape[0] == len(affine) - 1:
                self._write(case, displacement, affine)
                continue
            volume = str(sample.get('volume_id', case))
            if self._slices and not self._continues(volume, displacement, affine):
                self._flush()
            self._slices.append((volume, case, displacement, affine))

    def after_test_epoch(self, runner: Any, metrics: Any = None) -> None:
        self._flush()

    def _continues(self, volume: str, displacement: np.ndarray, affine: np.ndarray) -> bool:
        """Whether a slice is the next one of the volume that is being collected."""
        name, _, before, previous = self._slices[-1]
        step = np.linalg.solve(previous, affine)[:3, 3]
        return name == volume and before.shape == displacement.shape and bool(np.allclose(step, (0, 0, 1), atol=1e-3))

    def _flush(self) -> None:
        if not self._slices:
            return
        volume, case, _, affine = self._slices[0]
        plane = np.stack([field for _, _, field, _ in self._slices], axis=-1)
        self._write(volume if len(self._slices) > 1 else case, np.concatenate([plane, 0 * plane[:1]]), affine)
        self._slices = []

    def _write(self, name: str, displacement: np.ndarray, affine: np.ndarray) -> None:
        self.out_dir.mkdir(parents=True, exist_ok=True)
        file = self.out_dir / f'{re.sub(r"[^A-Za-z0-9_.-]+", "_", name)}.nii.gz'
        shape: Sequence[int] = displacement.shape[1:]
        write_displacement_image(file, displacement, Geometry(tuple(shape), affine))
