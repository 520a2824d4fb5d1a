# CamCAN brains in the layout of the GraDIRN release: <split>/<subject>/T1_brain.nii.gz, T2_brain.nii.gz and
# T1_brain_MALPEM_tissues.nii.gz, 1 mm; centre 176x192x176, percentile window, then 128x128x128 (1.38x1.5x1.38 mm).
_base_ = ['../loaders.py']

dataset_type = 'CamCANDataset'
data_root = '{{$MMREG_DATA:data}}/CamCAN'
num_classes = 6  # background and five tissues
modality = 't1t1'  # 't1t2': the moving image is T2; choose similarity='ncc' then
cache = dict(type='disk')
inference = dict(spacing=(1.378, 1.504, 1.378))

# What the three splits have in common; not part of the config itself.
__shared__ = dict(type=dataset_type, data_root=data_root, modality=modality, cache=cache)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(**__shared__, folder='train', pairing='random', fraction=1.0, fraction_seed=0),
)
val_dataloader = dict(num_workers=1, dataset=dict(**__shared__, folder='val', pairing='next'))
test_dataloader = dict(num_workers=1, dataset=dict(**__shared__, folder='test', pairing='next'))

val_evaluator = [
    dict(type='DiceMetric', labels=num_classes),
    dict(type='IntensityMetric', scores=['nmi', 'mse']),
    dict(type='JacobianMetric'),
]
test_evaluator = [
    *val_evaluator,
    dict(type='ContourMetric', labels=num_classes),
]
