# LUMIR (Learn2Reg 2024): 160x224x192 at 1 mm, unlabelled training, 3374 samples per epoch. With the challenge's JSON
# its 38 unlabelled pairs validate, and the 90 ordered pairs of the 10 scans whose labels it offers for a sanity check,
# where those are there; with the EOIR authors' JSON these 90. Where to get it and how to lay it out: docs/datasets.md.
_base_ = ['../loaders.py']

dataset_type = 'LUMIRDataset'
data_root = '{{$MMREG_DATA:data}}/LUMIR'
inference = dict(spacing=1.0)

train_dataloader = dict(
    # 93 GB when decoded. cache=dict(type="memory", eager=True) keeps what fits into half of the free memory,
    # cache=dict(type="disk", folder=...) keeps everything on a disk.
    dataset=dict(
        type=dataset_type, data_root=data_root, split='training', sanity_labels='SanityCheckLabelsTr', cache=None
    ),
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type, data_root=data_root, split='validation', sanity_labels='SanityCheckLabelsTr', cache='memory'
    ),
)
# The validation pairs again: the test set of the challenge is not given away.
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='DiceMetric'),
    dict(type='LUMIRDice'),
    dict(type='IntensityMetric', scores=['ncc']),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric')]
