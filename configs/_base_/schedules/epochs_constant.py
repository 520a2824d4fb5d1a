# Adam with a constant learning rate, validated after every epoch.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, weight_decay=0, amsgrad=True),
)
param_scheduler = []
train_cfg = dict(type='ResumableEpochLoop', max_epochs=301, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=1)
