"""Learning-rate schedules that MMEngine does not have."""

from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmreg.registry import PARAM_SCHEDULERS

_FOREVER = int(1e9)


@PARAM_SCHEDULERS.register_module()
class PolynomialRounded(LRSchedulerMixin, _ParamScheduler):
    """Polynomial decay in closed form, rounded: ``lr = round(lr0 * (1 - step / total) ** power, decimals)``.

    MMEngine's ``PolyLR`` multiplies step by step and reaches zero one step earlier; published registration code
    (EOIR and its relatives) uses this form, where the step is the epoch counted from 0.

    Args:
        optimizer: Optimizer or its wrapper.
        power: Exponent.
        decimals: Digits kept; None for no rounding.
        total: Number of steps at which the rate would reach zero; ``end - begin`` when None.
        begin: First step of the schedule.
        end: Step at which it stops.
        last_step: Last step that was done, for resuming without a state.
        by_epoch: Count epochs (True) or iterations.
        verbose: Print every change.
    """

    def __init__(
        self,
        optimizer: Any,
        *args: Any,
        power: float = 0.9,
        decimals: int | None = 8,
        total: int | None = None,
        begin: int = 0,
        end: int = _FOREVER,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ):
        self.power = power
        self.decimals = decimals
        self.total = total if total is not None else end - begin
        super().__init__(
            optimizer,
            *args,
            begin=begin,
            end=end,
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose,
        )

    def _get_value(self) -> list[float]:
        factor = max(0.0, 1 - self.last_step / self.total) ** self.power
        values = [base * factor for base in self.base_values]
        return values if self.decimals is None else [round(value, self.decimals) for value in values]

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: int = 0,
        end: int = _FOREVER,
        by_epoch: bool = True,
        epoch_length: int = 1,
        total: int | None = None,
        **kwargs: Any,
    ) -> PolynomialRounded:
        """The same schedule counted in iterations of ``epoch_length`` per epoch."""
        return cls(
            *args,
            begin=begin * epoch_length,
            end=end if end == _FOREVER else end * epoch_length,
            total=None if total is None else total * epoch_length,
            by_epoch=False,
            **kwargs,
        )
