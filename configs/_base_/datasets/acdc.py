# ACDC as preprocessed by the authors of MemWarp: 128x128x16 at 1.8x1.8x10 mm, end of diastole and of systole.
# 85 samples per epoch, directions exchanged and images flipped at random; 15 validate and 50 test, both directions.
_base_ = ['../loaders.py']

dataset_type = 'ACDCDataset'
data_root = '{{$MMREG_DATA:data}}/ACDC'
num_classes = 4  # with background
cache = dict(type='memory')
inference = dict(spacing=(1.8, 1.8, 10.0))

train_pipeline = [
    dict(type='RandomFlip', axes=(0, 1), prob=0.5),
    # dict(type='RandomGamma'),  # defined in the published code, never applied there
    dict(type='PackRegInputs'),
]

train_dataloader = dict(
    num_workers=2,
    dataset=dict(type=dataset_type, data_root=data_root, split='training', cache=cache, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(type=dataset_type, data_root=data_root, split='validation', cache=cache),
)
test_dataloader = dict(num_workers=1, dataset=dict(type=dataset_type, data_root=data_root, split='test', cache=cache))

val_evaluator = [
    dict(type='DiceMetric', labels=num_classes),
    dict(type='IntensityMetric', scores=['ncc']),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric', labels=num_classes)]
