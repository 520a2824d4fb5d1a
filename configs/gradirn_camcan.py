# GraDIRN on CamCAN brains, 3-D, inter-subject. Every step is recomputed in the backward pass.
_base_ = [
    '_base_/models/gradirn.py',
    '_base_/datasets/camcan.py',
    '_base_/default_runtime.py',
    '_base_/schedules/gradirn.py',
]

__card__ = dict(
    method='GraDIRN',
    paper='MICCAI 2022, arXiv 2112.03915',
    page='methods/gradirn',
)

model = dict(ndim=3, flow_head=dict(checkpoint_steps=True))
train_dataloader = dict(batch_size=4)
default_hooks = dict(
    checkpoint=dict(interval=10, max_keep_ckpts=3, save_best='reg/dice', rule='greater'),
)
