"""Agreement of intensities: MSE, PSNR, SSIM and correlation for one modality, mutual information for any two."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import DataError


def mean_squared_error(first: Tensor, second: Tensor, mask: Tensor | None = None) -> float:
    """Mean squared difference of ``(C, *S)`` over all voxels, or those inside ``mask`` (a shape that broadcasts).

    NaN where the mask is empty.
    """
    _same_shape(first, second)
    squares = (first.double() - second.double()).square_()
    if mask is not None:
        squares = squares[(mask > 0).expand_as(squares)]
    return float(squares.mean()) if squares.numel() else math.nan


def psnr(first: Tensor, second: Tensor, data_range: float, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio of ``(C, *S)`` in dB, ``10 log10(range^2 / MSE)``; infinite for equal images."""
    error = mean_squared_error(first, second, mask)
    return math.inf if error == 0 else 10.0 * math.log10(data_range**2 / error)


def ssim(first: Tensor, second: Tensor, data_range: float, window: int = 7) -> float:
    """Mean structural similarity with a uniform window and the sample covariance, in [-1, 1], 1 for equal images.

    Args:
        first: ``(C, *spatial)``, 2-D or 3-D.
        second: The same shape.
        data_range: Difference of the largest and smallest possible value.
        window: Odd edge length; only windows that lie inside the image count.

    Source: Wang et al. 2004 with K1 = 0.01, K2 = 0.03.
    """
    _same_shape(first, second)
    if min(first.shape[1:]) < window:
        raise DataError(f'an image of size {tuple(first.shape[1:])} is smaller than the SSIM window {window}.')
    x, y = first.double(), second.double()
    count = window ** (first.dim() - 1)
    mean_x, mean_y = _box_mean(x, window), _box_mean(y, window)
    unbiased = count / (count - 1)
    var_x = unbiased * (_box_mean(x * x, window) - mean_x**2)
    var_y = unbiased * (_box_mean(y * y, window) - mean_y**2)
    covariance = unbiased * (_box_mean(x * y, window) - mean_x * mean_y)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson correlation of the intensities of all voxels, in [-1, 1]; NaN where an image is constant."""
    _same_shape(first, second)
    x, y = (image.double() - image.double().mean() for image in (first, second))
    scale = x.square().sum().sqrt() * y.square().sum().sqrt()
    return float((x * y).sum() / scale) if scale > 0 else math.nan


def normalised_mutual_information(first: Tensor, second: Tensor, bins: int = 64) -> float:
    """``(H(first) + H(second)) / H(first, second)`` of a joint histogram: 1 for independent images, 2 for equal ones.

    Source: Studholme et al. 1999. NaN where both images are constant.
    """
    _same_shape(first, second)
    x, y = (image.detach().cpu().double().numpy().ravel() for image in (first, second))
    joint = np.histogram2d(x, y, bins=bins)[0]
    joint /= joint.sum()
    both = _entropy(joint)
    return (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / both if both > 0 else math.nan


def _entropy(shares: np.ndarray) -> float:
    found = shares[shares > 0]
    return float(-(found * np.log(found)).sum())


def _box_mean(image: Tensor, window: int) -> Tensor:
    """Mean over the windows that lie inside ``(C, *spatial)``, axis after axis, float64."""
    for axis in range(1, image.dim()):
        image = image.unfold(axis, window, 1).mean(-1)
    return image


def _same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise DataError(f'images have the shapes {tuple(first.shape)} and {tuple(second.shape)}, expected one shape.')


def data_range(image: Tensor) -> float:
    """Largest minus smallest value of ``(*S)``, at least a tiny positive number."""
    return max(float(image.max() - image.min()), torch.finfo(torch.float32).tiny)
