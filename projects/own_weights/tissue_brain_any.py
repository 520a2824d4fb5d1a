# The network that names the tissues of a brain of any contrast, on whole brains and parts of heads with voxels of
# 2.4 to 3.8 mm, painted from the packaged tissue maps with random contrast: nobody's scans are in them.
#   mmreg train projects/own_weights/tissue_brain_any.py --plugin projects/own_weights/tissues
_base_ = [
    '../../configs/_base_/schedules/iterations.py',
    '../../configs/_base_/loaders_in_process.py',
    '../../configs/_base_/default_runtime_iterations.py',
]

model = dict(type='TissueUNet', classes=5, channels=[24, 32, 48], descriptor=dict(type='MINDSSC', radius=1, dilation=1))
train_dataloader = dict(
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(
        type='TissueBrains',
        size=(48, 56, 48),
        count=100,
        bare=(0.55, 0.25),
        folds=dict(),
        deformation=dict(
            knots=(32.0, 16.0, 8.0, 4.0),
            amplitude=(1.6, 1.5, 0.8, 0.4),
            strength=(0.2, 1.2),
            rotation=8.0,
            scale=0.08,
            shift=6.0,
            zoom=(2.4, 3.8),
        ),
        appearance=dict(spread=0.08, noise=0.06, blur=0.9, thick=0.2, bias=0.35, crop=0.15),
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
    dict(type='PolyLR', power=1.0, eta_min=0, by_epoch=False, begin=50, end=1000),
]
train_cfg = dict(max_iters=1000)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100, max_keep_ckpts=2))
randomness = dict(seed=0)
