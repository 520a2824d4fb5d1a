# EOIR on ACDC, unsupervised, end of diastole to end of systole; N=32 as in the paper (N=8 is its small model).
_base_ = [
    '_base_/models/eoir_acdc.py',
    '_base_/datasets/acdc.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
    published='Dice 0.789, HD95 9.07, SDlogJ 0.084',
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
