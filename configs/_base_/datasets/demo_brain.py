"""Simulated brains: nilearn's packaged MNI152 template bent by known diffeomorphisms. 2 mm, 80x96x80, labels 1 to 4.

The subjects are simulated from a real template; they are not real subjects. Training, validation and test use disjoint
ranges of subject numbers.
"""

dataset_type = 'SimulatedBrainDataset'
resolution = 2
num_classes = 5  # with background
train_subjects = dict(first=0, count=24)
val_subjects = dict(first=1000, count=3)
test_subjects = dict(first=2000, count=5)

train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='SeededEpochSampler', shuffle=True),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(type=dataset_type, resolution=resolution, pairing='random', **train_subjects),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(type=dataset_type, resolution=resolution, pairing='next', true_fields=True, **val_subjects),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='SeededEpochSampler', shuffle=False),
    worker_init_fn=dict(type='mmreg.own_group_worker'),
    dataset=dict(type=dataset_type, resolution=resolution, pairing='ordered', true_fields=True, **test_subjects),
)
