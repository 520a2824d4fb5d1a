# The network that names the tissues of a brain of any contrast, on parts of heads with voxels of 1.6 to 3 mm.
#   mmreg train projects/own_weights/tissue_brain_any.py --plugin projects/own_weights/tissues
_base_ = [
    '../../configs/_base_/schedules/iterations.py',
    '../../configs/_base_/loaders_in_process.py',
    '../../configs/_base_/default_runtime_iterations.py',
]

model = dict(type='TissueUNet', classes=5, channels=[32, 48, 64], descriptor=dict(type='MINDSSC', radius=1, dilation=1))
train_dataloader = dict(
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(
        type='TissueBrains',
        size=(56, 64, 56),
        count=100,
        bare=(0.4, 0.4),
        deformation=dict(
            knots=(32.0, 16.0, 8.0, 4.0),
            amplitude=(1.6, 1.5, 0.8, 0.4),
            strength=(0.2, 1.2),
            rotation=8.0,
            scale=0.08,
            shift=6.0,
            zoom=(1.6, 3.0),
        ),
        appearance=dict(spread=0.15, noise=0.06, blur=0.9, thick=0.2, bias=0.35, crop=0.15),
    ),
)
val_dataloader = None
test_dataloader = None
val_cfg = None
test_cfg = None
val_evaluator = None
test_evaluator = None
optim_wrapper = dict(type='MixedPrecisionOptimWrapper', dtype='bfloat16', optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=1.0, eta_min=0, by_epoch=False, begin=50, end=2800),
]
train_cfg = dict(max_iters=2800)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100, max_keep_ckpts=2))
randomness = dict(seed=0)
