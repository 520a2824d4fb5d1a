"""Where a result comes from: everything needed to make it again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from mmreg.engine.plan import versions
from mmreg.io.plain import plain

if TYPE_CHECKING:
    from .method import Method
    from .options import RunOptions
    from .results.values import ResultValues
    from .working.pair import SourceResult, WorkingPair

FORMAT = 2


def describe_run(
    options: RunOptions, method: Method, result: ResultValues, on: WorkingPair, moved: SourceResult
) -> dict[str, Any]:
    """The plan of one registration as plain values (JSON).

    Keys: ``format``, ``case_id``, ``created``, ``inputs`` (path and SHA-256 each), ``preset`` (name, file, who chose
    it and why), ``checkpoint``, ``preparation``, ``device``, ``grids`` (fixed, moving, working), ``affine`` (matrix),
    ``alignment`` (how it was found), ``inverse`` (``'computed'``, or the ``'model'``'s own), ``options`` (of the run),
    ``seed``, ``training_seed``, ``versions`` (now), ``training_versions``, ``source`` (settings besides the config),
    ``curves`` (first and last value per level), ``timings``, ``warnings``,
    ``metrics``, and the whole merged configs as text: ``config`` and, where a network was refined, ``refinement``.
    """
    grids = {'fixed': result.geometry, 'moving': result.moving.geometry, 'working': on.grid}
    return {
        'format': FORMAT,
        'case_id': result.case_id,
        'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'inputs': dict(on.pair.given),
        'preset': plain(dict(method.preset)) or None,
        'checkpoint': method.checkpoint,
        'preparation': plain(method.preparation.as_dict()),
        'device': str(method.source.device),
        'grids': {name: {'shape': list(grid.shape), 'affine': plain(grid.affine)} for name, grid in grids.items()},
        'affine': plain(result.affine),
        'alignment': on.alignment.record,
        'inverse': None if result.inverse is None else result.inverse.origin,
        'options': options.described_values(),
        'seed': options.seed,
        'training_seed': method.meta.get('seed'),
        'versions': versions(),
        'training_versions': plain(method.meta.get('versions')),
        'source': plain({**method.source.settings(), **moved.notes}),
        'curves': {name: _ends(curve) for name, curve in moved.curves.items()},
        'timings': {key: round(value, 4) for key, value in result.timings.items()},
        'warnings': list(result.warnings),
        'metrics': plain(result.metrics),
        **method.config_texts,
    }


def _ends(curve: Iterable[tuple[int, int, float]]) -> list[dict[str, Any]]:
    """First and last value of a convergence curve at each level."""
    levels: dict[int, list[float]] = {}
    for level, _, value in curve:
        levels.setdefault(level, []).append(value)
    return [
        {'level': level, 'iterations': len(values), 'first': plain(values[0]), 'last': plain(values[-1])}
        for level, values in levels.items()
    ]
