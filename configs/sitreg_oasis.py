# SITReg on OASIS by the authors' recipe: four levels, LNCC 7, 24 epochs of 5000 pairs. Published crops (160x144x192)
# are not needed: the network takes any size.
_base_ = [
    '_base_/models/sitreg.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='SITReg',
    paper='MELBA 2024',
    page='methods/sitreg',
)

norm_cfg = dict(type='GN', num_groups=2)
model = dict(
    backbone=dict(channels=[8, 40, 40, 40], norm_cfg=norm_cfg),
    flow_head=dict(channels=[16, 72, 72, 72], norm_cfg=norm_cfg),
    losses=dict(similarity=dict(window=7)),
)

train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'))
train_cfg = dict(max_iters=120000, val_interval=5000)

default_hooks = dict(
    checkpoint=dict(interval=5000, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
