"""The classical spine baseline as elastix settings, and one run of elastix on two arrays.

Needs the optional package ``itk-elastix``; it is imported by the run only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError

#: First step: a rigid motion of the whole image.
RIGID: dict[str, Sequence[str]] = {
    'Registration': ['MultiResolutionRegistration'],
    'Transform': ['EulerTransform'],
    'Metric': ['AdvancedMattesMutualInformation'],
    'NumberOfHistogramBins': ['32'],
    'Optimizer': ['AdaptiveStochasticGradientDescent'],
    'AutomaticParameterEstimation': ['true'],
    'AutomaticScalesEstimation': ['true'],
    'AutomaticTransformInitialization': ['false'],
    'MaximumNumberOfIterations': ['250'],
    'NumberOfResolutions': ['3'],
    'FixedImagePyramid': ['FixedRecursiveImagePyramid'],
    'MovingImagePyramid': ['MovingRecursiveImagePyramid'],
    'ImageSampler': ['RandomCoordinate'],
    'NumberOfSpatialSamples': ['4096'],
    'NewSamplesEveryIteration': ['true'],
    'CheckNumberOfSamples': ['false'],
    'Interpolator': ['LinearInterpolator'],
    'ResampleInterpolator': ['FinalLinearInterpolator'],
    'Resampler': ['DefaultResampler'],
    'HowToCombineTransforms': ['Compose'],
    'WriteResultImage': ['false'],
}
#: Second step, as published: B-spline with mutual information and the rigidity penalty inside the vertebrae.
BSPLINE: dict[str, Sequence[str]] = {
    'Registration': ['MultiMetricMultiResolutionRegistration'],
    'Transform': ['BSplineTransform'],
    'Metric': ['AdvancedMattesMutualInformation', 'TransformRigidityPenalty'],
    'Metric0Weight': ['0.1'],
    'Metric1Weight': ['0.5'],
    'LinearityConditionWeight': ['1.0'],
    'OrthonormalityConditionWeight': ['0.1'],
    'PropernessConditionWeight': ['0.1'],
    'UseLinearityCondition': ['false'],
    'UseOrthonormalityCondition': ['true'],
    'UsePropernessCondition': ['true'],
    'CalculateLinearityCondition': ['true'],
    'CalculateOrthonormalityCondition': ['true'],
    'CalculatePropernessCondition': ['true'],
    'UseFixedRigidityImage': ['false'],
    'UseMovingRigidityImage': ['true'],
    'DilateRigidityImages': ['false', 'false', 'false', 'true'],
    'DilationRadiusMultiplier': ['1.0'],
    'FinalGridSpacingInPhysicalUnits': ['8.0'],
    'GridSpacingSchedule': ['4.0', '2.0', '1.0'],
    'UpsampleGridOption': ['true'],
    'NumberOfHistogramBins': ['64', '64', '100'],
    'Optimizer': ['StandardGradientDescent'],
    'MaximumNumberOfIterations': ['500'],
    'SP_a': ['150000.0', '120000.0', '70000.0', '20000.0'],
    'SP_alpha': ['0.602'],
    'SP_A': ['100.0'],
    'NumberOfResolutions': ['3'],
    'FixedImagePyramid': ['FixedRecursiveImagePyramid'],
    'MovingImagePyramid': ['MovingRecursiveImagePyramid'],
    'ImagePyramidSchedule': ['4', '4', '4', '2', '2', '2', '1', '1', '1'],
    'ImageSampler': ['Random'],
    'NumberOfSpatialSamples': ['65536'],
    'NewSamplesEveryIteration': ['true'],
    'CheckNumberOfSamples': ['false'],
    'Interpolator': ['BSplineInterpolator'],
    'BSplineInterpolationOrder': ['3'],
    'ResampleInterpolator': ['FinalBSplineInterpolator'],
    'FinalBSplineInterpolationOrder': ['3'],
    'Resampler': ['DefaultResampler'],
    'HowToCombineTransforms': ['Compose'],
    'WriteResultImage': ['false'],
}
_PENALTY = ('Metric1Weight', 'UseFixedRigidityImage', 'UseMovingRigidityImage', 'DilateRigidityImages')


def load_itk() -> Any:
    """The package ``itk`` with elastix.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import itk

        if not hasattr(itk, 'ParameterObject'):
            raise ImportError('itk without elastix')
    except ImportError as error:
        raise ConfigError(
            'the elastix baseline needs the package itk-elastix, which is not installed: pip install "mmreg[elastix]".'
        ) from error
    return itk


def settings(
    body: bool, iterations: int | None = None, changes: Mapping[str, Sequence[str] | str] | None = None
) -> list[dict[str, list[str]]]:
    """The two parameter maps of a run.

    Args:
        body: Whether there is a body to keep rigid; without one the penalty is left out.
        iterations: Of both steps, instead of the published numbers.
        changes: Other values of the B-spline step.
    """
    rigid, bspline = ({key: list(value) for key, value in step.items()} for step in (RIGID, BSPLINE))
    if not body:
        bspline['Registration'], bspline['Metric'] = ['MultiResolutionRegistration'], bspline['Metric'][:1]
        for key in _PENALTY:
            bspline.pop(key)
    for key, value in (changes or {}).items():
        bspline[key] = [value] if isinstance(value, str) else [str(v) for v in value]
    if iterations is not None:
        rigid['MaximumNumberOfIterations'] = bspline['MaximumNumberOfIterations'] = [str(iterations)]
    return [rigid, bspline]


def run_elastix(
    fixed: np.ndarray,
    moving: np.ndarray,
    body: np.ndarray | None,
    spacing: Sequence[float],
    iterations: int | None = None,
    changes: Mapping[str, Sequence[str] | str] | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Register two volumes of one grid: rigid, then B-spline.

    Args:
        fixed: ``(D0, D1, D2)`` float32.
        moving: Same shape.
        body: Same shape, not 0 where the moving image must stay rigid; None or empty: nowhere.
        spacing: Voxel size in mm.
        iterations: Of both steps, instead of the published numbers.
        changes: Other elastix parameters of the B-spline step.
        threads: How many; elastix decides when None.

    Returns:
        Displacement ``(3, D0, D1, D2)`` float32 in voxels, fixed -> moving.

    Raises:
        ConfigError: ``itk-elastix`` is missing, or elastix refuses the settings or the images.
    """
    itk = load_itk()
    rigid_body = body is not None and bool(np.any(body))
    with tempfile.TemporaryDirectory() as folder:
        parameters = itk.ParameterObject.New()
        for step in settings(rigid_body, iterations, changes):
            if rigid_body and step['Transform'] == ['BSplineTransform']:
                path = Path(folder) / 'body.mha'
                itk.imwrite(_as_itk(itk, (np.asarray(body) > 0).astype(np.float32), spacing), str(path))
                step['MovingRigidityImageName'] = [str(path)]
            parameters.AddParameterMap(step)
        images = _as_itk(itk, fixed, spacing), _as_itk(itk, moving, spacing)
        try:
            with _threads(itk, threads):
                _, transform = itk.elastix_registration_method(
                    *images, parameter_object=parameters, log_to_console=False, output_directory=folder
                )
            field = itk.transformix_deformation_field(images[1], transform, output_directory=folder)
        except RuntimeError as error:
            raise ConfigError(f'elastix stopped: {_last_line(error)}') from error
        # Read as (k, j, i, component) in mm; array axes are image axes reversed.
        millimetres = np.asarray(itk.array_from_image(field), dtype=np.float64)
    voxels = np.moveaxis(millimetres, -1, 0).transpose(0, 3, 2, 1)
    return (voxels / np.asarray(spacing, dtype=np.float64).reshape(3, 1, 1, 1)).astype(np.float32)


@contextmanager
def _threads(itk: Any, number: int | None) -> Iterator[None]:
    """So many threads in what ITK does; elastix 5.2 with its own ``number_of_threads`` crashes in the penalty."""
    if number is None:
        yield
        return
    before = itk.get_nthreads()
    itk.set_nthreads(number)
    try:
        yield
    finally:
        itk.set_nthreads(before)


def _as_itk(itk: Any, array: np.ndarray, spacing: Sequence[float]) -> Any:
    """An image whose axis k is array axis k, at the origin, along the world's axes."""
    image = itk.image_from_array(np.ascontiguousarray(array.astype(np.float32).T))
    image.SetSpacing([float(s) for s in spacing])
    return image


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
