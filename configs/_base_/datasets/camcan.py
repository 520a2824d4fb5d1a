# CamCAN brains in the layout of the GraDIRN release: <split>/<subject>/T1_brain.nii.gz, T2_brain.nii.gz and
# T1_brain_MALPEM_tissues.nii.gz, 1 mm; centre 176x192x176, percentile window, then 128x128x128 (1.38x1.5x1.38 mm).
dataset_type = 'CamCANDataset'
data_root = '{{$MMREG_DATA:data}}/CamCAN'
num_classes = 6  # background and five tissues
modality = 't1t1'  # 't1t2': the moving image is T2; choose similarity='ncc' then
cache = dict(type='disk')
inference = dict(spacing=(1.378, 1.504, 1.378))

train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SeededEpochSampler', shuffle=True),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folder='train',
        modality=modality,
        pairing='random',
        cache=cache,
        fraction=1.0,
        fraction_seed=0,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(type=dataset_type, data_root=data_root, folder='val', modality=modality, pairing='next', cache=cache),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(type=dataset_type, data_root=data_root, folder='test', modality=modality, pairing='next', cache=cache),
)

val_evaluator = [
    dict(type='DiceMetric', labels=num_classes),
    dict(type='JacobianMetric'),
]
test_evaluator = [
    *val_evaluator,
    dict(type='ContourMetric', labels=num_classes),
    dict(type='IntensityMetric', scores=['mse']),
]
