# GraDIRN on UK Biobank cine, 2-D, ED and ES slices.
_base_ = [
    '_base_/models/gradirn.py',
    '_base_/datasets/cine_ukbb.py',
    '_base_/default_runtime.py',
    '_base_/schedules/gradirn_slices.py',
]

__card__ = dict(
    method='GraDIRN',
    paper='MICCAI 2022, arXiv 2112.03915',
    page='methods/gradirn',
)

train_dataloader = dict(batch_size=10)
default_hooks = dict(
    checkpoint=dict(interval=100, max_keep_ckpts=3, save_best='reg/dice', rule='greater'),
)
