# uniGradICON's network on NLST lungs, all four steps at once, by the published loss; the foundation model was measured
# on this data without training on it.
_base_ = [
    '_base_/models/unigradicon.py',
    '_base_/datasets/nlst.py',
    '_base_/schedules/gradicon.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='uniGradICON',
    paper='MICCAI 2024',
    page='methods/gradicon',
)

preprocess = [
    dict(type='LoadVolumes'),
    dict(type='ClipWindow', low=-1000.0, high=1000.0),
]
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(preprocess=preprocess, pairing='exchange'),
)
val_dataloader = dict(dataset=dict(preprocess=preprocess))
test_dataloader = val_dataloader

default_hooks = dict(
    checkpoint=dict(interval=2500, max_keep_ckpts=5, save_best='reg/tre', rule='less'),
)
