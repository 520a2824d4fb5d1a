# Adam with a constant learning rate, counted in iterations; use it with default_runtime_iterations.py and a training
# loader with SeededInfiniteSampler.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, weight_decay=0),
)
param_scheduler = []
train_cfg = dict(type='ResumableIterLoop', max_iters=30000, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=1)
