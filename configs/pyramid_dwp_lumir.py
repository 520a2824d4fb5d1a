# DWP on LUMIR: dual stream, motion pyramid with warping; 100 epochs of 250 pairs. Published: pairs of the first 500
# scans; here of all training scans.
_base_ = [
    '_base_/models/pyramid.py',
    '_base_/datasets/lumir.py',
    '_base_/schedules/pyramid_iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

train_pipeline = [
    dict(type='RandomFlip', axes=(0,), prob=0.5),  # left and right, as published
    dict(type='PackRegInputs'),
]
train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'), dataset=dict(pipeline=train_pipeline))
randomness = dict(seed=2023)

default_hooks = dict(
    checkpoint=dict(interval=2500, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
