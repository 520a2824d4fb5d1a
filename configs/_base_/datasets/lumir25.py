# LUMIR (Learn2Reg 2025): 160x224x192 at 1 mm. The 3384 unlabelled training scans of 2024; 36 pairs validate: 18 of that
# domain, 9 high-field, 9 of two contrasts. Dice where the challenge's coarse label maps lie in labelsVal.
_base_ = ['../loaders.py']

dataset_type = 'LUMIR25Dataset'
data_root = '{{$MMREG_DATA:data}}/LUMIR25'
inference = dict(spacing=1.0)

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='training', cache=None))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='validation', cache='memory'))
# The validation pairs again: the test set of the challenge is not given away.
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='DiceMetric'),
    dict(type='IntensityMetric', scores=['nmi']),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric')]
