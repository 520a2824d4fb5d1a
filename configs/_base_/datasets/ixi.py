# IXI atlas-to-patient, the pickles of the TransMorph authors: 160x192x224 at 1 mm, intensities 0 to 1.
# 403 samples per epoch, flipped at random; 58 validate, 115 test. The atlas is the moving image; 30 structures count.
_base_ = ['../loaders.py']

dataset_type = 'IXIDataset'
data_root = '{{$MMREG_DATA:data}}/IXI'
scored_labels = [1, 2, 3, *range(5, 17), 18, *range(20, 24), *range(25, 33), 34, 36]
inference = dict(spacing=1.0)

train_pipeline = [
    dict(type='RandomFlip', axes=(0, 1, 2), prob=0.5),
    dict(type='PackRegInputs'),
]

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='training', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='validation'))
test_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='test'))

val_evaluator = [
    dict(type='DiceMetric', labels=scored_labels),
    dict(type='IntensityMetric', scores=['ncc']),
    dict(type='JacobianMetric'),
]
# The published tables warp labels linearly, which is worth about 0.007 Dice: reported beside the challenge's nearest.
test_evaluator = [*val_evaluator, dict(type='DiceMetric', labels=scored_labels, warp='linear')]
