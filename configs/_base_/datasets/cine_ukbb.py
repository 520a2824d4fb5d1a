# Cardiac cine MRI of UK Biobank in the layout of the GraDIRN release: <split>/<subject>/sa_ED.nii.gz, sa_ES.nii.gz and
# label_sa_*.nii.gz, (H, W, slices) at 1.8 mm. ED is fixed, ES moves; pairs are slices, metrics per volume.
dataset_type = 'CineDataset'
data_root = '{{$MMREG_DATA:data}}/UKBB'
num_classes = 4  # with background
cache = dict(type='memory')
inference = dict(spacing=(1.8, 1.8))

stack = [dict(type='CropAroundLabels', size=(160, 160, None))]
pipeline = [
    dict(type='PercentileWindow', low=0.05, high=99.95),  # each image of each slice by itself
    dict(type='PackRegInputs', extra_meta=('volume_id',)),
]

train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SeededEpochSampler', shuffle=True),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folder='train',
        slices='random',
        stack=stack,
        pipeline=pipeline,
        cache=cache,
        fraction=1.0,
        fraction_seed=0,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folder='val',
        slices=(0.25, 0.5, 0.75),
        stack=stack,
        pipeline=pipeline,
        cache=cache,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folder='test',
        slices='all',
        stack=stack,
        pipeline=pipeline,
        cache=cache,
    ),
)

val_evaluator = [
    dict(type='VolumeDice', labels=num_classes),
    dict(type='PerVolume', metric=dict(type='JacobianMetric')),
]
test_evaluator = [
    *val_evaluator,
    dict(type='PerVolume', metric=dict(type='ContourMetric', labels=num_classes)),
    dict(type='PerVolume', metric=dict(type='IntensityMetric', scores=['mse'])),
]
