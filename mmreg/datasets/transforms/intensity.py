"""Intensities. Each image is treated on its own; label maps, masks and points pass unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmreg.errors import ConfigError
from mmreg.registry import TRANSFORMS

from .roles import groups


class ImageTransform:
    """Base: applies :meth:`change` to every image of a subject or pair (``image``, ``fixed``, ``moving``).

    A subclass overrides :meth:`change`; or :meth:`fit`, where the change depends on what is in the image: files are
    registered whole, with the numbers taken from the part of them that training would have cropped.

    Args:
        images: Only these of the three; all that are there when None. A subject that says its ``role`` in the pair
            to come counts as that image.
    """

    def __init__(self, images: Sequence[str] | None = None):
        self.images = None if images is None else tuple(images)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        for group in groups(sample):
            if self.meant_for(group.image, sample.get('role')):
                sample[group.image] = self.change(sample[group.image], sample).astype(np.float32)
        return sample

    def meant_for(self, *roles: str | None) -> bool:
        """Whether an image that is one of ``roles`` (``'image'``, ``'fixed'``, ``'moving'``) is changed."""
        return self.images is None or any(role in self.images for role in roles)

    def fit(self, image: np.ndarray, sample: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
        """The change of intensities with what it depends on taken from ``image`` ``(C, *spatial)``.

        What is returned may be applied to another part of the same image. A transform that takes nothing from the
        image need not override this.
        """
        return lambda other: self.change(other, sample)

    def change(self, image: np.ndarray, sample: dict[str, Any]) -> np.ndarray:
        """The new intensities of ``image`` ``(C, *spatial)``."""
        return self.fit(image, sample)(image)


@TRANSFORMS.register_module()
class DivideBy(ImageTransform):
    """Divides intensities by a constant (255 for LUMIR).

    Args:
        value: The divisor, not 0.
    """

    def __init__(self, value: float = 255.0, images: Sequence[str] | None = None):
        super().__init__(images)
        if not value:
            raise ConfigError('DivideBy got value=0, expected another number.')
        self.value = value

    def change(self, image: np.ndarray, sample: dict[str, Any]) -> np.ndarray:
        """The image ``(C, *spatial)`` over the constant."""
        return image / np.float32(self.value)


@TRANSFORMS.register_module()
class ClipWindow(ImageTransform):
    """Clips to ``[low, high]`` and maps linearly to [0, 1]; Hounsfield units -500..800 for the abdomen.

    Args:
        low: Becomes 0.
        high: Becomes 1.
    """

    def __init__(self, low: float, high: float, images: Sequence[str] | None = None):
        super().__init__(images)
        if not low < high:
            raise ConfigError(f'ClipWindow got low={low}, high={high}, expected low < high.')
        self.low = low
        self.high = high

    def change(self, image: np.ndarray, sample: dict[str, Any]) -> np.ndarray:
        """The image ``(C, *spatial)`` clipped and mapped to [0, 1]."""
        return (np.clip(image, self.low, self.high) - self.low) / (self.high - self.low)


@TRANSFORMS.register_module()
class MinMax(ImageTransform):
    """Maps the range of the whole image to [0, 1].

    Args:
        eps: Added to the range.
    """

    def __init__(self, eps: float = 1e-12, images: Sequence[str] | None = None):
        super().__init__(images)
        self.eps = eps

    def fit(self, image: np.ndarray, sample: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
        """The map of this image's own range to [0, 1]."""
        low, high = float(image.min()), float(image.max())
        return lambda other: (other - low) / (high - low + self.eps)


@TRANSFORMS.register_module()
class PercentileWindow(ImageTransform):
    """Clips to two percentiles, then maps the remaining range to [0, 1].

    Args:
        low: Lower percentile, 0 to 100 (0.05 in the GraDIRN release).
        high: Upper percentile (99.95).
        eps: Added to the range.
    """

    def __init__(self, low: float = 0.05, high: float = 99.95, eps: float = 1e-12, images: Sequence[str] | None = None):
        super().__init__(images)
        if not 0 <= low < high <= 100:
            raise ConfigError(f'PercentileWindow got low={low}, high={high}, expected 0 <= low < high <= 100.')
        self.low, self.high, self.eps = low, high, eps

    def fit(self, image: np.ndarray, sample: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
        """The window of this image's own percentiles."""
        low, high = np.percentile(image, (self.low, self.high))
        clipped = np.clip(image, low, high)
        bottom, top = float(clipped.min()), float(clipped.max())
        return lambda other: (np.clip(other, low, high) - bottom) / (top - bottom + self.eps)


@TRANSFORMS.register_module()
class ZScore(ImageTransform):
    """Zero mean and unit standard deviation.

    Args:
        nonzero: Statistics over the voxels that are not 0, which alone are changed (skull-stripped brains).
        eps: Added to the standard deviation.
    """

    def __init__(self, nonzero: bool = False, eps: float = 1e-8, images: Sequence[str] | None = None):
        super().__init__(images)
        self.nonzero = nonzero
        self.eps = eps

    def fit(self, image: np.ndarray, sample: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
        """The map to zero mean and unit deviation of the chosen voxels."""
        values = image[self._chosen(image)].astype(np.float64)
        mean, deviation = values.mean(), values.std() + self.eps

        def changed(other: np.ndarray) -> np.ndarray:
            return np.where(self._chosen(other), (other.astype(np.float64) - mean) / deviation, other)

        return changed

    def _chosen(self, image: np.ndarray) -> np.ndarray:
        return image != 0 if self.nonzero else np.ones(image.shape, dtype=bool)


@TRANSFORMS.register_module()
class RandomGamma(ImageTransform):
    """Raises intensities in [0, 1] to a random power, drawn for each image on its own; augmentation.

    Args:
        log_range: The power's logarithm is uniform in ``[-log_range, log_range]``.
        prob: Probability of a change, per image.
    """

    def __init__(self, log_range: float = 0.3, prob: float = 0.5, images: Sequence[str] | None = None):
        super().__init__(images)
        self.log_range = log_range
        self.prob = prob

    def change(self, image: np.ndarray, sample: dict[str, Any]) -> np.ndarray:
        """The image ``(C, *spatial)`` to a power drawn for it, or unchanged."""
        rng = generator(sample)
        if rng.random() >= self.prob:
            return image
        return np.clip(image, 0, 1) ** np.exp(rng.uniform(-self.log_range, self.log_range))


def generator(sample: dict[str, Any]) -> np.random.Generator:
    """The sample's random generator; one that follows NumPy's global state where there is none."""
    if 'rng' not in sample:
        sample['rng'] = np.random.default_rng(np.random.randint(2**31))
    return sample['rng']
