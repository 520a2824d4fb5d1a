# DWP on IXI, atlas to patient, by the protocol of the pyramid designs; the authors only test on IXI.
_base_ = [
    '_base_/models/pyramid.py',
    '_base_/datasets/ixi.py',
    '_base_/schedules/pyramid.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

randomness = dict(seed=2023)

default_hooks = dict(
    checkpoint=dict(interval=10, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
