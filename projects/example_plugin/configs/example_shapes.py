# The plugin's backbone and loss on simulated shapes: a run of seconds on any computer. The plugin is found because it
# is installed; without installing it, add `--plugin mmreg_example` or custom_imports=dict(imports=['mmreg_example']).
_base_ = ['../../../configs/_base_/default_runtime_iterations.py']

model = dict(
    type='Registrar',
    ndim=2,
    backbone=dict(type='StridedPyramid', channels=(8, 8, 8)),
    flow_head=dict(type='CoarseToFineHead'),
    integrator=dict(type='ScalingSquaring', steps=5),
    pyramid=dict(kernel='gaussian', factors=2),
    losses=dict(
        similarity=dict(type='LogCosh', weight=1.0, levels=[1, 1 / 2, 1 / 4]),
        smoothness=dict(type='Diffusion', penalty='l2', on='velocity', weight=0.1, levels=[1, 1 / 2, 1 / 4]),
    ),
)

train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    dataset=dict(type='SyntheticShapes', size=(32, 32), first=0, count=8),
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    dataset=dict(type='SyntheticShapes', size=(32, 32), first=100, count=2, pairing='next'),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='DiceMetric'), dict(type='JacobianMetric')]
test_evaluator = val_evaluator

train_cfg = dict(type='ResumableIterLoop', max_iters=50, val_interval=50)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
