# DWP on abdomen CT-CT by the protocol of the pyramid designs (theirs is another abdominal CT set, unlabelled training).
_base_ = [
    '_base_/models/pyramid.py',
    '_base_/datasets/abdomenctct.py',
    '_base_/schedules/pyramid.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
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
