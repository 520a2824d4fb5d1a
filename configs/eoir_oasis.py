# EOIR on OASIS (Learn2Reg 2021, task 3), with labels; N=32 as in the paper (N=16 is its small model).
_base_ = [
    '_base_/models/eoir_oasis.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
    published='OASIS validation: Dice 0.888, HD95 1.28, SDlogJ 0.52',
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
