# Abdomen CT-CT (Learn2Reg 2020, task 3): -500..800 HU to [0, 1], halved to 96x80x128 at 4 mm, 13 organs.
# 380 ordered pairs per epoch; 6 validate, 42 test.
_base_ = ['../loaders.py']

dataset_type = 'AbdomenCTCTDataset'
data_root = '{{$MMREG_DATA:data}}/AbdomenCTCT'
num_classes = 14  # with background
# 30 subjects of 5 MB: each is decoded and resampled once per process.
cache = dict(type='memory')
inference = dict(spacing=4.0)

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='training', cache=cache))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(type=dataset_type, data_root=data_root, split='validation', cache=cache),
)
test_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='test', cache=cache))

val_evaluator = [
    dict(type='DiceMetric', labels=num_classes),
    dict(type='IntensityMetric', scores=['ncc']),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric', labels=num_classes)]
