# EOIR on LUMIR (Learn2Reg 2025), by the recipe of 2024 (eoir_lumir.py): the training scans are the same.
# The pairs of two contrasts and the high-field scans are outside of what it is trained on; a similarity for two
# contrasts: --cfg-options "model.losses.similarity=dict(type='MINDSSC', weight=1.0)".
_base_ = [
    '_base_/models/eoir.py',
    '_base_/datasets/lumir25.py',
    '_base_/schedules/epochs_polynomial.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
