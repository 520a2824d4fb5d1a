# How pairs reach the model: what all data sets share. A data set says what is loaded, and another number of workers.
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SeededEpochSampler', shuffle=True),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
)
