# LessNet on OASIS, unsupervised, by the protocol of pyramid_dwp_oasis.py.
_base_ = [
    '_base_/models/pyramid_dual.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/pyramid.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(
    backbone=dict(_delete_=True, type='PoolingPyramid'),
    flow_head=dict(channels=[48, 64, 96, 128], convs=2),
)

train_pipeline = [
    dict(type='RandomFlip', axes=(0,), prob=0.5),  # left and right
    dict(type='PackRegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
randomness = dict(seed=2023)

default_hooks = dict(
    checkpoint=dict(interval=10, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
