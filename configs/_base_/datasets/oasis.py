# OASIS (Learn2Reg 2021, task 3), the pickles of the TransMorph authors: 160x192x224, 35 labels, intensities 0 to 1.
# 394 samples per epoch; 19 pairs validate. edition='nifti' reads the challenge's own files (other axis order).
_base_ = ['../loaders.py']

dataset_type = 'OASISDataset'
data_root = '{{$MMREG_DATA:data}}/OASIS'
edition = 'pickle'
num_classes = 36  # with background
inference = dict(spacing=1.0)

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, edition=edition, split='training'))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, edition=edition, split='validation'))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='DiceMetric', labels=num_classes),
    dict(type='IntensityMetric', scores=['ncc']),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric', labels=num_classes)]
