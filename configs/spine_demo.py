# The demonstration of the spine system, first stage: a small network learns on the CPU in minutes to register
# articulated phantoms by MIND and smoothness. Second stage: spine_demo_rigid.py.
#   python tools/train_stages.py configs/spine_demo.py configs/spine_demo_rigid.py
_base_ = [
    '_base_/models/spine.py',
    '_base_/datasets/phantom_spine.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='Spine CT/MR',
    paper='MICCAI 2022, arXiv 2205.07568',
    page='methods/spine',
    measured='synthetic spines: Dice 0.737 -> 0.809, residual inside vertebrae 0.890 mm',
)

model = dict(
    backbone=dict(
        encoder=dict(out_channels=[8, 16, 32, 32]),
        decoder=dict(out_channels=[32, 24]),
        remaining=dict(out_channels=[16]),
    ),
    losses=dict(similarity=dict(radius=1, dilation=1)),  # the phantoms are small
)

train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'))
train_cfg = dict(max_iters=600, val_interval=200)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=200, by_epoch=False))
