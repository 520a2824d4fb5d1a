"""One call that registers two images, and the pipeline that options ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmreg.io.label_tables import read_label_names
from mmreg.utils.described import split_keywords, with_keywords

from .by_preset import PresetRegistration, smoothed
from .files import PairFiles
from .options import RunOptions
from .pipeline import Pipeline
from .progress import ProgressCallback
from .results.result import RegistrationResult
from .types import ImageLike


@with_keywords(PairFiles, RunOptions)
def register(
    fixed: ImageLike,
    moving: ImageLike,
    *,
    case_id: str | None = None,
    out_dir: str | Path | None = None,
    watch: ProgressCallback = None,
    **keywords: Any,
) -> RegistrationResult:
    """Register two images, without training or with a trained network.

    Args:
        {keywords}
        case_id: Name of the pair; made from the two file names by default.
        out_dir: Folder to write everything to; nothing is written where None.
        watch: Called with where the registration is (:class:`mmreg.registration.progress.ProgressEvent`).

    Raises:
        InputError: one sentence for whatever is wrong with an input.

    Example:
        >>> import numpy as np
        >>> grid = np.indices((24, 24)) - 12.0
        >>> fixed, moving = (np.exp(-(((grid - shift) / 4) ** 2).sum(0)) for shift in (0.0, 1.0))
        >>> quick = {'optimisation.levels': [dict(spacing=1.0, iterations=1)]}
        >>> pair = (fixed, np.eye(3)), (moving, np.eye(3))
        >>> result = register(*pair, preset='generic', affine='none', cfg_options=quick)
        >>> result.displacement.shape
        (2, 24, 24)
    """
    files, options = split_keywords({'fixed': fixed, 'moving': moving, **keywords}, PairFiles, RunOptions)
    run = RunOptions(**options)
    return make_pipeline(run)(
        **files, affine=run.affine, landmark_frame=run.landmark_frame, case_id=case_id, out_dir=out_dir, watch=watch
    )


def make_pipeline(options: RunOptions) -> Pipeline:
    """What registers pairs as the options say: a preset, or a network with or without refinement.

    Raises:
        ConfigError: options that contradict each other.
        DataError: a table of label names that cannot be read.
    """
    options.check()
    names = _label_names(options.label_names)  # a table that cannot be read is told before anything is built
    return _built(options).presenting(options, names)


def _label_names(given: str | Path | Mapping[int, str] | None) -> Mapping[int, str]:
    if isinstance(given, Mapping):
        return {int(value): str(name) for value, name in given.items()}
    return {} if given is None else read_label_names(given)


def _built(options: RunOptions) -> Pipeline:
    shared: dict[str, Any] = {
        'device': options.device,
        'cfg_options': options.cfg_options,
        'label_sets': options.label_sets,
        'labels': options.labels,
        'seed': options.seed,
        'use_landmarks': options.use_landmarks,
    }
    pipeline: Pipeline
    if options.fast:
        from .fast import FastRegistration

        pipeline = FastRegistration(
            refine=options.refine, preset=options.preset, smoothness=options.smoothness, **shared
        )
    elif not options.network:
        shared['cfg_options'] = smoothed(options.cfg_options, options.smoothness)
        pipeline = PresetRegistration(options.preset, only=options.only, **shared)
    else:
        from .inferencer import RegistrationInferencer

        pipeline = RegistrationInferencer(
            options.model, options.checkpoint, refine=options.refine, preset=options.preset, **shared
        )
    pipeline.options = options  # all of them, also those that neither of the two takes itself
    return pipeline
