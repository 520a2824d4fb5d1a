# Pairs of your own, listed in CSV or JSON files below data_root: docs/datasets.md says which columns.
# Set `preprocess` to what your modality needs; the network sees exactly what comes out of it.
_base_ = ['../loaders.py']

dataset_type = 'PairListDataset'
data_root = '{{$MMREG_DATA:data}}/pairs'
preprocess = [
    dict(type='LoadVolumes'),
    dict(type='PercentileWindow', low=0.1, high=99.9),
]

train_dataloader = dict(
    num_workers=2,
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='train.csv', preprocess=preprocess, cache='memory'),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='val.csv', preprocess=preprocess, cache='memory'),
)
test_dataloader = dict(
    num_workers=1,
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='test.csv', preprocess=preprocess),
)

val_evaluator = [
    dict(type='DiceMetric'),
    dict(type='TREMetric'),
    dict(type='IntensityMetric', scores=['nmi']),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric')]
