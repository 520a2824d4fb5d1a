# The demonstration: a small EOIR (N=8) that learns on the CPU in about three minutes to register simulated brains.
# `make demo` trains it and shows what it learned; docs/tutorials/demo.md tells more.
_base_ = [
    '_base_/models/eoir.py',
    '_base_/datasets/demo_brain.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

model = dict(
    backbone=dict(encoder=dict(channels=8)),
    pyramid=dict(kernel='gaussian'),
    losses=dict(smoothness=dict(weight=1.0)),
)

train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'))
train_cfg = dict(max_iters=100, val_interval=50)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=50, by_epoch=False))
