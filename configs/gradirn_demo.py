# The demonstration: a small GraDIRN that learns on the CPU in about half a minute to register simulated beating hearts,
# 64x64, with known true motion. Every subject has an anatomy of its own; test subjects were never seen.
_base_ = [
    '_base_/models/gradirn.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

model = dict(flow_head=dict(layers=4, channels=16))

dataset_type = 'BeatingHearts'
num_classes = 4  # with background
loader = dict(
    num_workers=0,
    persistent_workers=False,
    worker_init_fn=dict(type='mmreg.own_group_worker'),
)
train_dataloader = dict(
    **loader,
    batch_size=4,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(type=dataset_type, first=0, count=80, fraction=1.0, fraction_seed=0),
)
val_dataloader = dict(
    **loader,
    batch_size=1,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    dataset=dict(type=dataset_type, first=1000, count=8),
)
test_dataloader = dict(
    **loader,
    batch_size=1,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    dataset=dict(type=dataset_type, first=2000, count=32),
)
val_evaluator = [
    dict(type='FieldError', mask='true_displacement_valid'),
    dict(type='DiceMetric', labels=num_classes),
    dict(type='JacobianMetric'),
]
test_evaluator = val_evaluator

train_cfg = dict(max_iters=200, val_interval=200)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=200, by_epoch=False))
