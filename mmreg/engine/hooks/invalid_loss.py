"""Stop at the first loss that is no number."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook

from mmreg.errors import DataError
from mmreg.registry import HOOKS


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """Stops training when a loss is NaN or infinite, and names the first term that is.

    It runs before the checkpoint hook: what was saved last is still whole.

    Args:
        interval: Look every so many iterations. The logger reads every loss anyway, so 1 costs nothing.
    """

    def __init__(self, interval: int = 1):
        self.interval = interval

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Stop with the terms and cases of a loss that is not finite."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        bad = [name for name, value in (outputs or {}).items() if not _is_finite(value)]
        if not bad:
            return
        name = next((n for n in bad if n != 'loss'), bad[0])  # the sum says nothing about where it came from
        cases = _case_ids(data_batch)
        raise DataError(
            f'iteration {runner.iter + 1}: loss term {name!r} is {torch.as_tensor(outputs[name]).mean().item()}'
            f'{" for the cases " + ", ".join(cases) if cases else ""}, expected a finite number; '
            f'a lower learning rate, gradient clipping or a look at these images may help.'
        )


def _is_finite(value: Any) -> bool:
    return bool(torch.isfinite(torch.as_tensor(value)).all())


def _case_ids(batch: Any) -> list[str]:
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    return [str(s.get('case_id')) for s in samples or () if hasattr(s, 'get') and s.get('case_id') is not None][:4]
