"""Many pairs: resumable, and no case stops the others."""

from __future__ import annotations

import csv
import io
import math
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import InputError
from mmreg.io import lumir_name, oasis_name
from mmreg.io.atomic import atomic_path
from mmreg.utils.atomic import write_text
from mmreg.utils.console import sentence

from .cases import Case
from .folder import read_marker
from .inferencer import RegistrationInferencer
from .outputs import LAYOUTS
from .prompts import needed_files
from .provenance import checkpoint_digest
from .result import RegistrationResult

RESULTS, FAILURES = 'results.csv', 'failures.csv'
_PAIRED = ('dice', 'hd95', 'tre')
_SINGLE = ('sdlogj', 'folds_percent')
COLUMNS = (
    'case_id', 'fixed', 'moving', 'seconds',
    *(f'{name}{when}' for name in _PAIRED for when in ('_before', '')), *_SINGLE, 'overlap_percent', 'warnings',
)  # fmt: skip
FAILURE_COLUMNS = ('case_id', 'fixed', 'moving', 'reason')


@dataclass
class Outcome:
    """What became of one case: ``'done'``, ``'skipped'`` (finished before) or ``'failed'``."""

    case: Case
    status: str
    line: dict[str, Any] = field(default_factory=dict)
    reason: str = ''
    trace: str = ''


@dataclass
class Cohort:
    """Registers the pairs of a list into one folder.

    With ``layout='files'`` each case gets a folder of its own, and ``results.csv`` a line; otherwise only the
    challenge's displacement file of each case is written. ``failures.csv`` lists what failed and why; it is absent
    where nothing did. All tables are replaced atomically after every case.

    Args:
        inferencer: Registers a pair.
        cases: The pairs.
        out_dir: Where the results go.
        layout: ``'files'``, ``'lumir'``, ``'learn2reg'`` or ``'oasis'``.
        overwrite: Register finished cases again. Otherwise a case counts as finished where its folder is complete and
            was made from the same files and settings; in a challenge layout, where its file exists.
        outputs: Which files per case, see :data:`~mmreg.apis.outputs.OUTPUTS`.
        affine: As in :class:`~mmreg.apis.RegistrationInferencer`, for all cases.
        landmark_frame: The same.
    """

    inferencer: RegistrationInferencer
    cases: Sequence[Case]
    out_dir: Path
    layout: str = 'files'
    overwrite: bool = False
    outputs: Collection[str] | None = None
    affine: np.ndarray | str | None = None
    landmark_frame: str | None = None

    def run(self, report: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
        """Register every case that is not finished; ``report`` is called after each. Outcomes hold no voxels."""
        outcomes: list[Outcome] = []
        for case in self.cases:
            outcome = self._finished(case) or self._attempt(case)
            outcomes.append(outcome)
            if outcome.status != 'skipped' or case is self.cases[-1]:
                self.write_tables(outcomes)
            report(outcome)
        return outcomes

    def write_tables(self, outcomes: Sequence[Outcome]) -> None:
        """Replace both tables."""
        if self.layout == 'files':
            write_text(self.out_dir / RESULTS, _csv(COLUMNS, [o.line for o in outcomes if o.status != 'failed']))
        failed = [{**_names(o.case), 'reason': o.reason} for o in outcomes if o.status == 'failed']
        if failed:
            write_text(self.out_dir / FAILURES, _csv(FAILURE_COLUMNS, failed))
        else:
            (self.out_dir / FAILURES).unlink(missing_ok=True)

    def place(self, case: Case) -> Path:
        """Folder, or in a challenge layout file, of a case."""
        if self.layout == 'files':
            return self.out_dir / case.case_id
        return self.out_dir / layout_name(self.layout, case)

    def _finished(self, case: Case) -> Outcome | None:
        if self.overwrite:
            return None
        if self.layout != 'files':
            return Outcome(case, 'skipped') if self._place_or_none(case) else None
        plan = read_marker(self.place(case))
        if plan is None or plan.get('request') != case.fingerprint(self._settings()):
            return None
        return Outcome(case, 'skipped', result_line(case, plan))

    def _place_or_none(self, case: Case) -> Path | None:
        try:
            place = self.place(case)
        except InputError:
            return None  # fails, with its reason, when its turn comes
        return place if place.is_file() else None

    def _attempt(self, case: Case) -> Outcome:
        try:
            return Outcome(case, 'done', self._register(case))
        except Exception as error:
            reason = sentence(error) or f'{type(error).__name__}: {" ".join(str(error).split())}'
            return Outcome(case, 'failed', reason=reason, trace=traceback.format_exc())

    def _register(self, case: Case) -> dict[str, Any]:
        place = self.place(case)
        files = self.layout == 'files'
        arguments = case.arguments()
        if not files:
            kept = ('fixed', 'moving', *needed_files(self.inferencer.model.flow_head))
            arguments = {key: path for key, path in arguments.items() if key in kept}
        result = self.inferencer(
            **arguments,
            case_id=case.case_id,
            affine=self.affine,
            landmark_frame=self.landmark_frame,
            inverse=files,
            metrics=files,
        )
        if files:
            result.provenance['request'] = case.fingerprint(self._settings())
            result.save(place, outputs=self.outputs)
        else:
            write_layout(self.layout, place, result)
        return result_line(case, result.provenance)

    def _settings(self) -> dict[str, Any]:
        """What a result depends on besides its files."""
        inferencer = self.inferencer
        return {
            'config': inferencer.cfg.pretty_text if inferencer.cfg is not None else None,
            'checkpoint': checkpoint_digest(inferencer.model),
            'preparation': inferencer.preparation.as_dict(),
            'label_sets': inferencer.label_sets,
            'labels': inferencer.labels,
            'affine': self.affine if isinstance(self.affine, str) else np.asarray(self.affine).tolist(),
            'landmark_frame': self.landmark_frame,
            'outputs': None if self.outputs is None else sorted(self.outputs),
        }


def layout_name(layout: str, case: Case) -> str:
    """File name of a case in a challenge layout, made from the numbers of both subjects.

    Raises:
        InputError: a subject's id is no number.
    """
    # '0002_0001' is image 1 of subject 2: challenge files are named after subjects alone.
    ids = [str(source['id']).split('_')[0] for source in (case.fixed, case.moving)]
    try:
        return oasis_name(*ids) if layout == 'oasis' else lumir_name(*ids)
    except ValueError as error:
        raise InputError(
            f'{case.case_id}: found the subjects {ids[0]!r} and {ids[1]!r}, expected numbers in the file names as the '
            f'layout {layout} wants'
        ) from error


def write_layout(layout: str, path: Path, result: RegistrationResult) -> None:
    """Write the one file of a challenge layout, atomically."""
    with atomic_path(path) as temporary:
        LAYOUTS[layout][1](temporary, result)


def result_line(case: Case, plan: dict[str, Any]) -> dict[str, Any]:
    """Line of ``results.csv`` from the plan of a result."""
    metrics = plan.get('metrics') or {}
    line: dict[str, Any] = {**_names(case), 'seconds': (plan.get('timings') or {}).get('total')}
    for name in _PAIRED:
        if name in metrics:
            line |= {f'{name}_before': metrics[name]['before'], name: metrics[name]['after']}
    line |= {name: metrics[name]['after'] for name in _SINGLE if name in metrics}
    return {**line, 'overlap_percent': metrics.get('overlap_percent'), 'warnings': ' '.join(plan.get('warnings') or ())}


def _names(case: Case) -> dict[str, Any]:
    return {'case_id': case.case_id, 'fixed': case.fixed['image'], 'moving': case.moving['image']}


def _csv(columns: Sequence[str], lines: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n', restval='')
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return '' if math.isnan(value) else f'{value:.6g}'
    return '' if value is None else value
