# DWCPI on ACDC slices in 2-D: MSE, lambda 0.05, 128x128 around the labels. Published: the slices of a patient are a
# batch, 200 epochs; here an epoch has one random slice per patient, ten per batch.
_base_ = [
    '_base_/models/pyramid.py',
    '_base_/datasets/cine_acdc.py',
    '_base_/schedules/pyramid.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(
    ndim=2,
    flow_head=dict(correlation=dict(radius=1), iterations=[2, 2, 1, 1]),
    losses=dict(
        similarity=dict(
            _delete_=True,
            type='MSE',
            direction='both',
            weight=1.0,
            levels=[1, None, 1 / 4, 1 / 8, 1 / 16],
        ),
        smoothness=dict(weight=0.025),
        smoothness_back=dict(weight=0.025),
    ),
)

stack = [dict(type='CropAroundLabels', size=(128, 128, None))]
train_pipeline = [
    dict(type='PercentileWindow', low=0.05, high=99.95),
    dict(type='RandomFlip', axes=(0, 1), prob=0.5),
    dict(type='PackRegInputs', extra_meta=('volume_id',)),
]
train_dataloader = dict(batch_size=10, dataset=dict(stack=stack, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(stack=stack))
test_dataloader = dict(dataset=dict(stack=stack))
# As many steps as 200 epochs of about nine slices per patient.
param_scheduler = [dict(type='StepLR', step_size=9, gamma=0.996, by_epoch=True)]
train_cfg = dict(max_epochs=1800, val_interval=60)

randomness = dict(seed=2023)

default_hooks = dict(
    checkpoint=dict(interval=60, max_keep_ckpts=3, save_best='reg/dice', rule='greater'),
)
