"""Metrics of intensities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.evaluation.functional import intensity
from mmreg.registry import METRICS

from .base import CaseMetric, Scores
from .case import Case


@METRICS.register_module()
class IntensityMetric(CaseMetric):
    """Warped against fixed image: keys ``mse``, ``psnr`` (dB), ``ssim``, ``ncc``, ``nmi``.

    ``ncc`` is the correlation of all voxels, ``nmi`` the normalised mutual information, which is the one for two
    modalities. None of them needs anything but the images: they are what an unlabelled pair can be judged by.
    The range of PSNR and SSIM is that of the fixed image unless ``data_range`` is given.

    Args:
        scores: Which of the five; the first three by default.
        data_range: Largest minus smallest possible intensity; default: of each fixed image.
        window: Of the SSIM.
        kwargs: See :class:`CaseMetric`.
    """

    name = 'intensity'
    greater = ('psnr', 'ssim', 'ncc', 'nmi')
    SCORES = ('mse', 'psnr', 'ssim', 'ncc', 'nmi')

    def __init__(
        self,
        scores: Sequence[str] = SCORES[:3],
        data_range: float | None = None,
        window: int = 7,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if set(scores) - set(self.SCORES):
            raise ConfigError(f'IntensityMetric: scores={list(scores)}, expected some of {self.SCORES}.')
        self.scores, self.data_range, self.window = tuple(scores), data_range, window

    def measure(self, case: Case) -> Scores:
        """Difference of warped and fixed image."""
        return self._scores(case, case.predicted('warped'))

    def measure_initial(self, case: Case) -> Scores:
        """Difference of moving and fixed image."""
        return self._scores(case, case.image('moving'))

    def _scores(self, case: Case, image: Tensor) -> Scores:
        fixed = case.image('fixed').to(image.device)
        extent = self.data_range or intensity.data_range(fixed)
        measures = {
            'mse': lambda: intensity.mean_squared_error(image, fixed),
            'psnr': lambda: intensity.psnr(image, fixed, extent),
            'ssim': lambda: intensity.ssim(image, fixed, extent, self.window),
            'ncc': lambda: intensity.correlation(image, fixed),
            'nmi': lambda: intensity.normalised_mutual_information(image, fixed),
        }
        return {score: {'': measures[score]()} for score in self.scores}
