"""Where a result comes from: everything needed to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from mmreg.engine.plan import plain, versions

from .inputs import digest

if TYPE_CHECKING:
    from .inferencer import RegistrationInferencer
    from .result import RegistrationResult

FORMAT = 1


def describe_run(
    inferencer: RegistrationInferencer, result: RegistrationResult, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The plan of one registration as plain values (JSON).

    Keys: ``format``, ``case_id``, ``created``, ``inputs`` (path and SHA-256 each), ``checkpoint``, ``preparation``,
    ``working_device``, ``grids``, ``affine``, ``seed`` (of the training run), ``versions`` (now) and
    ``training_versions``, ``timings``, ``warnings``, ``metrics`` and ``config`` (the whole merged config as text).
    """
    model = inferencer.model
    meta = getattr(model, 'checkpoint_meta', {})
    checkpoint = getattr(model, 'checkpoint', None)
    cfg = inferencer.cfg
    return {
        'format': FORMAT,
        'case_id': result.case_id,
        'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'inputs': dict(inputs),
        'checkpoint': None if checkpoint is None else {'path': str(checkpoint), 'sha256': checkpoint_digest(model)},
        'preparation': plain(inferencer.preparation.as_dict()),
        'device': str(inferencer.device),
        'grids': {
            name: {'shape': list(grid.shape), 'affine': plain(grid.affine)}
            for name, grid in (('fixed', result.geometry), ('moving', result.moving.geometry))
        },
        'affine': plain(result.affine),
        'seed': meta.get('seed'),
        'versions': versions(),
        'training_versions': plain(meta.get('versions')),
        'timings': {key: round(value, 4) for key, value in result.timings.items()},
        'warnings': list(result.warnings),
        'metrics': plain(result.metrics),
        'config': cfg.pretty_text if cfg is not None else None,
    }


def checkpoint_digest(model: Any) -> str | None:
    """SHA-256 of the checkpoint a model was loaded from, computed once; None without one."""
    if getattr(model, 'checkpoint', None) is None:
        return None
    if not hasattr(model, '_checkpoint_digest'):
        model._checkpoint_digest = digest(model.checkpoint)
    return model._checkpoint_digest
