# SITReg on NLST lungs by the authors' recipe: LUMIR's widths, LNCC 11, 10 epochs of 5000 pairs, each image moved by an
# affine map of its own nine times out of ten.
_base_ = [
    '_base_/models/sitreg.py',
    '_base_/datasets/nlst.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

norm_cfg = dict(type='GN', num_groups=2)
model = dict(backbone=dict(norm_cfg=norm_cfg), flow_head=dict(norm_cfg=norm_cfg))

train_pipeline = [
    dict(type='RandomAffine', prob=0.9, translation=0.025, rotation=5.0, log_scale=0.05, log_shear=0.025),
    dict(type='PackRegInputs'),
]
train_dataloader = dict(
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(pairing='exchange', pipeline=train_pipeline),
)
train_cfg = dict(max_iters=50000, val_interval=5000)

default_hooks = dict(
    checkpoint=dict(interval=5000, max_keep_ckpts=5, save_best='reg/tre', rule='less'),
)
