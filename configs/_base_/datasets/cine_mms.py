# M&Ms in the layout of the GraDIRN release: <split>/<subject>/ED_img.nii.gz, ES_img, ED_seg, ES_seg. Resampled to
# 2 mm in plane, 160x160 around the labels; vendors=['A'] keeps one scanner, by the challenge's table.
_base_ = ['../loaders.py']

dataset_type = 'MMsDataset'
data_root = '{{$MMREG_DATA:data}}/MMs'
num_classes = 4  # with background
cache = dict(type='memory')
inference = dict(spacing=(2.0, 2.0))

stack = [dict(type='CropAroundLabels', size=(160, 160, None))]
clean = [*stack, dict(type='CleanStackLabels')]  # validation and test: slices labelled in both frames
preprocess = [dict(type='LoadVolumes'), dict(type='Resample', spacing=(2.0, 2.0, None))]
pipeline = [
    dict(type='PercentileWindow', low=0.05, high=99.95),  # each image of each slice by itself
    dict(type='PackRegInputs', extra_meta=('volume_id',)),
]

# What the three splits have in common; not part of the config itself.
__shared__ = dict(type=dataset_type, data_root=data_root, preprocess=preprocess, pipeline=pipeline, cache=cache)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(**__shared__, folder='train', slices='random', stack=stack, fraction=1.0, fraction_seed=0),
)
val_dataloader = dict(num_workers=1, dataset=dict(**__shared__, folder='val', slices='all', stack=clean))
test_dataloader = dict(num_workers=1, dataset=dict(**__shared__, folder='test', slices='all', stack=clean))

val_evaluator = [
    dict(type='VolumeDice', labels=num_classes),
    dict(type='PerVolume', metric=dict(type='IntensityMetric', scores=['ncc', 'mse'])),
    dict(type='PerVolume', metric=dict(type='JacobianMetric')),
]
test_evaluator = [
    *val_evaluator,
    dict(type='PerVolume', metric=dict(type='ContourMetric', labels=num_classes)),
]
