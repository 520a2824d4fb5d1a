# ACDC as distributed (patient001/patient001_frame01.nii.gz, Info.cfg), slice by slice like UK Biobank in the GraDIRN
# recipe: ED fixed, ES moving, 1.8 mm in plane, 160x160 around the labels; metrics per volume.
_base_ = ['../loaders.py']

dataset_type = 'ACDCCineDataset'
data_root = '{{$MMREG_DATA:data}}/ACDC'
num_classes = 4  # with background
cache = dict(type='memory')
inference = dict(spacing=(1.8, 1.8))

stack = [dict(type='CropAroundLabels', size=(160, 160, None))]
preprocess = [dict(type='LoadVolumes'), dict(type='Resample', spacing=(1.8, 1.8, None))]
pipeline = [
    dict(type='PercentileWindow', low=0.05, high=99.95),  # each image of each slice by itself
    dict(type='PackRegInputs', extra_meta=('volume_id',)),
]

# What the three splits have in common; not part of the config itself.
__shared__ = dict(
    type=dataset_type, data_root=data_root, preprocess=preprocess, stack=stack, pipeline=pipeline, cache=cache
)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(**__shared__, split='training', slices='random', fraction=1.0, fraction_seed=0),
)
val_dataloader = dict(num_workers=1, dataset=dict(**__shared__, split='validation', slices=(0.25, 0.5, 0.75)))
test_dataloader = dict(num_workers=1, dataset=dict(**__shared__, split='test', slices='all'))

val_evaluator = [
    dict(type='VolumeDice', labels=num_classes),
    dict(type='PerVolume', metric=dict(type='IntensityMetric', scores=['ncc', 'mse'])),
    dict(type='PerVolume', metric=dict(type='JacobianMetric')),
]
test_evaluator = [
    *val_evaluator,
    dict(type='PerVolume', metric=dict(type='ContourMetric', labels=num_classes)),
]
