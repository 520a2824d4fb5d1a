"""`mmreg compare-with`: several methods on the same pairs, one table and the challenge's ranking."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmreg.errors import ConfigError, DataError, listed
from mmreg.registration.options import SEARCHED
from mmreg.utils import console
from mmreg.utils.quiet import quiet

from .shared.case_progress import track
from .shared.options import add_debug

if TYPE_CHECKING:
    from mmreg.registration.cohort.cases import CohortCase
    from mmreg.registration.peers import Peer

    Source = Callable[[CohortCase], tuple[np.ndarray, float | None]]

#: Columns of the table, as in the tables of LUMIR.
MEASURES = ('dice', 'tre', 'ndv_percent', 'hd95', 'sdlogj', 'folds_percent')


def main(argv: Sequence[str] | None = None) -> int:
    """Compare methods; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: compare_with(options), debug=options.debug)


def compare_with(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    from mmreg.io.tables import write_json, write_rows, write_table
    from mmreg.plugins import register_all_modules
    from mmreg.registration.cohort.cases import read_cases

    register_all_modules()
    methods = _named(options.methods)
    cases = read_cases(options.pairs, options.data_root, options.split)
    _check_grids(cases)
    out = Path(options.out)
    # Everything that cannot run is told before anything does.
    sources = {name: _source(text, cases, out / 'fields' / name, options) for name, text in methods.items()}
    means: dict[str, dict[str, float]] = {}
    spread: dict[str, dict[str, float]] = {}
    for name, source in sources.items():
        metrics, seconds = _metrics(), []
        for case in track(cases, name):
            field, took = source(case)
            seconds += [took] if took is not None else []
            _measure(metrics, case, field)
        found: dict[str, float] = {}
        rows = []
        for metric in metrics:
            rows += _rows(metric.results)
            with quiet():  # the settings of the metrics are the same for all methods
                found |= {key.removeprefix('reg/'): value for key, value in metric.evaluate(len(cases)).items()}
        write_rows(out / f'{name}.csv', rows)
        means[name] = {key: found[key] for key in MEASURES if key in found}
        spread[name] = {key: found[f'{key}_sd'] for key in means[name]}
        if seconds:
            means[name]['seconds'] = float(np.mean(seconds))
    _tell(means, spread, len(cases))
    lines = [{'method': name, **numbers} for name, numbers in means.items()]
    columns = ['method', *dict.fromkeys(key for line in lines for key in line if key != 'method')]
    write_table(out / 'table.csv', columns, lines)
    ranked = _rank(means)
    write_json(out / 'ranking.json', {'ranking': ranked, 'means': means, 'sd': spread})
    console.say(f'written to {out}')


def _check_grids(cases: Sequence[CohortCase]) -> None:
    """Refuse pairs whose images are on two grids, all at once: voxels of one are compared with voxels of the other."""
    from mmreg.io import read_geometry

    wrong = []
    for case in cases:
        shapes = [tuple(read_geometry(image['image']).shape) for image in (case.fixed, case.moving)]
        if shapes[0] != shapes[1]:
            wrong.append(f'{case.case_id} ({shapes[0]} and {shapes[1]})')
    if wrong:
        raise DataError(
            f'{len(wrong)} of {len(cases)} pairs have images of different shapes: {listed(wrong)}, expected one '
            'grid for both (resample before).'
        )


def _source(text: str, cases: Sequence[CohortCase], folder: Path, options: argparse.Namespace) -> Source:
    """Where the fields of a method come from."""
    from mmreg.registration.cohort.stored import StoredFields
    from mmreg.registration.peers import find

    if text.startswith('fields:'):
        stored = StoredFields(text.removeprefix('fields:'), cases)
        return lambda case: (stored.read(case), None)
    peer = find(text, options.device, options.affine)
    return lambda case: _made(case, peer, folder)


def _made(case: CohortCase, peer: Peer, folder: Path) -> tuple[np.ndarray, float | None]:
    """The field of a case, made anew unless one of the same files and method is there; and how long that took."""
    from mmreg.io import read_learn2reg_nifti, write_learn2reg_nifti
    from mmreg.io.learn2reg import read_note

    path = folder / f'disp_{case.case_id}.nii.gz'
    note = case.fingerprint(peer.settings)
    if read_note(path) == note:
        return read_learn2reg_nifti(path), None
    begin = time.perf_counter()
    field = peer.displace(case.files.only(peer.needed))
    took = time.perf_counter() - begin
    path.parent.mkdir(parents=True, exist_ok=True)
    write_learn2reg_nifti(path, field, note)
    return field, took


def _metrics() -> list[Any]:
    from mmreg.registry import METRICS

    names = ('DiceMetric', 'SurfaceMetric', 'TREMetric', 'JacobianMetric')
    return [METRICS.build(dict(type=name, incomplete='skip')) for name in names]


def _measure(metrics: Sequence[Any], case: Any, field: np.ndarray) -> None:
    """Hand the pair to all metrics, as a run does."""
    import torch

    from mmreg.io import read_geometry, read_labels, read_landmarks

    geometry = read_geometry(case.fixed['image'])
    sample: dict[str, Any] = {'case_id': case.case_id, 'spacing': geometry.spacing}
    for role, source in (('fixed', case.fixed), ('moving', case.moving)):
        if source.get('labels'):
            array = read_labels(source['labels'], check=False).array
            sample[f'{role}_labels'] = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))[None]
        if source.get('landmarks'):
            points = read_landmarks(source['landmarks']).in_voxels(read_geometry(source['image']))
            sample[f'{role}_landmarks'] = torch.from_numpy(np.asarray(points, np.float32))
    sample['pred'] = {'displacement': torch.from_numpy(np.ascontiguousarray(field, dtype=np.float32))}
    for metric in metrics:
        metric.process({}, [sample])


def _rows(results: Sequence[Mapping[str, Any]]) -> list[Any]:
    from mmreg.io.tables import Row

    return [
        Row(result['case_id'], score, item, value, result['initial'].get(score, {}).get(item, math.nan))
        for result in results
        for score, found in result['scores'].items()
        for item, value in found.items()
    ]


def _rank(means: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    from mmreg.evaluation.challenge.ranking import rank

    return [{'method': one.method, 'score': one.score, 'rank': one.rank} for one in rank(means)]


def _tell(means: Mapping[str, Mapping[str, float]], spread: Mapping[str, Mapping[str, float]], count: int) -> None:
    ranked = {line['method']: line for line in _rank(means)}
    columns = [key for key in MEASURES if any(key in found for found in means.values())]
    rows = []
    for name in sorted(means, key=lambda name: ranked[name]['rank']):
        cells = [_cell(means[name].get(key), spread[name].get(key)) for key in columns]
        seconds = means[name].get('seconds')
        rows.append([name, *cells, '-' if seconds is None else f'{seconds:.1f}', f'{ranked[name]["score"]:.3f}'])
    title = f'{count} pairs; score: each measure 0 (worst) to 1 (best), Dice and HD95 1/6 each, TRE and NDV 1/3 each'
    console.table(('method', *columns, 'seconds', 'score'), rows, title=title)


def _cell(mean: float | None, sd: float | None) -> str:
    return '-' if mean is None or math.isnan(mean) else f'{mean:.4f} ± {sd:.4f}'


def _named(texts: Sequence[str]) -> dict[str, str]:
    """``name=method`` or a method that names itself."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, method = text.partition('=')
        if not separator:
            name, method = Path(text.partition(':')[0]).stem, text
        if name in found or not name or '/' in name:
            raise ConfigError(
                f'{text!r}: found the name {name!r} twice or unusable, expected NAME=METHOD with own names.'
            )
        found[name] = method
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg compare-with', description=__doc__)
    parser.add_argument(
        'methods', nargs='+', metavar='METHOD',
        help='zero, convexadam, register[:PRESET], fields:FOLDER, CONFIG:CHECKPOINT, a config that needs no checkpoint '
        '(spine_elastix), or published weights by name (mmreg weights); NAME=METHOD gives it a name',
    )  # fmt: skip
    parser.add_argument('pairs', help='CSV or JSON of pairs, or a Learn2Reg/LUMIR JSON')
    parser.add_argument('--data-root', metavar='DIR', help='folder the paths are below (default: that of the list)')
    parser.add_argument('--split', choices=['training', 'validation', 'test'], help='list of a challenge JSON')
    parser.add_argument('--out', '-o', required=True, metavar='DIR', help='folder for fields, tables and ranking')
    parser.add_argument(
        '--affine', choices=[*SEARCHED, 'centres', 'none'], metavar='HOW',
        help=f'before networks and register: {", ".join(SEARCHED)}, centres or none (default: none before networks but '
        'what published weights need, and for register what its preset says)',
    )  # fmt: skip
    parser.add_argument('--device', help='cpu, cuda, cuda:N (default: the GPU where there is one)')
    add_debug(parser)
    return parser
