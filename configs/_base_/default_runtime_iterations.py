"""default_runtime.py for runs that count iterations."""

_base_ = ['default_runtime.py']

default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(interval=1000, by_epoch=False),
)
log_processor = dict(by_epoch=False)
