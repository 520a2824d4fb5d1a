# DWP on OASIS, unsupervised. The authors train on LUMIR and only test on OASIS; this trains here by the same protocol.
_base_ = [
    '_base_/models/pyramid.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/pyramid.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

default_hooks = dict(
    checkpoint=dict(interval=10, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
