# The demonstration: a small EOIR (N=8) that learns on the CPU in some minutes to register simulated brains.
# `make demo` trains it and shows what it learned; docs/tutorials/demo.md tells more.
_base_ = [
    '_base_/models/eoir.py',
    '_base_/datasets/demo_brain.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
    measured='simulated brains: tissue Dice 0.631 -> 0.833',
)

# The network works on a grid of 4 mm, which minutes on a CPU can afford; files keep their own grid.
resolution = 4
inference = dict(spacing=float(resolution), orientation='RAS')
train_dataloader = dict(
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(resolution=resolution),
)
val_dataloader = dict(dataset=dict(resolution=resolution))
test_dataloader = dict(dataset=dict(resolution=resolution))

model = dict(
    backbone=dict(encoder=dict(channels=8)),
    pyramid=dict(kernel='gaussian'),
    losses=dict(smoothness=dict(weight=0.3)),
)

optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False)]
train_cfg = dict(max_iters=300, val_interval=150)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=50))
