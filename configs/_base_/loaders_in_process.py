# The same without workers, for subjects that are simulated in milliseconds.
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='SeededEpochSampler', shuffle=True),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
)
