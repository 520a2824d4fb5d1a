# NLST (Learn2Reg 2022 and 2023): lungs breathed out and in, 224x192x224 at 1.5 mm, with key points and lung masks.
# One pair per subject; TRE of the validation landmarks. Intensities -1000..500 HU to [0, 1].
_base_ = ['../loaders.py']

dataset_type = 'Learn2RegDataset'
data_root = '{{$MMREG_DATA:data}}/NLST'
ann_file = 'NLST_dataset.json'
preprocess = [
    dict(type='LoadVolumes'),
    dict(type='ClipWindow', low=-1000.0, high=500.0),
]
inference = dict(spacing=1.5)

train_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, ann_file=ann_file, split='training', preprocess=preprocess),
)
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, ann_file=ann_file, split='validation', preprocess=preprocess),
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='TREMetric'),
    dict(type='IntensityMetric', scores=['ncc']),
    dict(type='JacobianMetric'),
]
test_evaluator = val_evaluator
