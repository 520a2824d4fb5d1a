# LUMIR (Learn2Reg 2024): 160x224x192 at 1 mm, unlabelled training, 90 ordered pairs of 10 labelled subjects validate.
# 3374 samples per epoch. Where to get it and how to lay it out: docs/datasets.md.
_base_ = ['../loaders.py']

dataset_type = 'LUMIRDataset'
data_root = '{{$MMREG_DATA:data}}/LUMIR'
inference = dict(spacing=1.0)

train_dataloader = dict(
    # 93 GB when decoded. cache=dict(type="memory", eager=True) keeps what fits into half of the free memory,
    # cache=dict(type="disk", folder=...) keeps everything on a disk.
    dataset=dict(type=dataset_type, data_root=data_root, split='training', cache=None),
)
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='validation', cache='memory'))
# The labelled validation pairs again: the pairs of the test list have no labels.
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='DiceMetric'),
    dict(type='LUMIRDice'),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric')]
