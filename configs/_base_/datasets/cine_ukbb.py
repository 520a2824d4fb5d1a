# Cardiac cine MRI of UK Biobank in the layout of the GraDIRN release: <split>/<subject>/sa_ED.nii.gz, sa_ES.nii.gz and
# label_sa_*.nii.gz, (H, W, slices) at 1.8 mm. ED is fixed, ES moves; pairs are slices, metrics per volume.
_base_ = ['../loaders.py']

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

# What the three splits have in common; not part of the config itself.
__shared__ = dict(type=dataset_type, data_root=data_root, stack=stack, pipeline=pipeline, cache=cache)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(**__shared__, folder='train', slices='random', fraction=1.0, fraction_seed=0),
)
val_dataloader = dict(num_workers=1, dataset=dict(**__shared__, folder='val', slices=(0.25, 0.5, 0.75)))
test_dataloader = dict(num_workers=1, dataset=dict(**__shared__, folder='test', slices='all'))

val_evaluator = [
    dict(type='VolumeDice', labels=num_classes),
    dict(type='PerVolume', metric=dict(type='IntensityMetric', scores=['ncc', 'mse'])),
    dict(type='PerVolume', metric=dict(type='JacobianMetric')),
]
test_evaluator = [
    *val_evaluator,
    dict(type='PerVolume', metric=dict(type='ContourMetric', labels=num_classes)),
]
