# DWP on NLST lungs by the authors' protocol: LNCC 9, lambda 1, 200 epochs, both orders of a pair.
_base_ = [
    '_base_/models/pyramid.py',
    '_base_/datasets/nlst.py',
    '_base_/schedules/pyramid.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

train_pipeline = [
    dict(type='RandomFlip', axes=(0,), prob=0.5),
    dict(type='PackRegInputs'),
]
train_dataloader = dict(dataset=dict(pairing='exchange', pipeline=train_pipeline))

randomness = dict(seed=2023)

default_hooks = dict(
    checkpoint=dict(interval=10, max_keep_ckpts=5, save_best='reg/tre', rule='less'),
)
