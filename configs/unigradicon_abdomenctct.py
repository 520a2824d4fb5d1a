# uniGradICON's first stage on abdomen CT-CT alone: three steps, by the published recipe (which mixes four data sets).
# Both stages: python tools/train_stages.py configs/unigradicon_abdomenctct.py configs/unigradicon_abdomenctct_step2.py
_base_ = [
    '_base_/models/gradicon.py',
    '_base_/datasets/abdomenctct.py',
    '_base_/schedules/gradicon.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='uniGradICON',
    paper='MICCAI 2024',
    page='methods/gradicon',
)

train_pipeline = [
    dict(type='RandomFlip', axes=(0, 1, 2), prob=0.5),
    dict(type='RandomAffine', noise=0.05),
    dict(type='PackRegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(pipeline=train_pipeline),
)

default_hooks = dict(
    checkpoint=dict(interval=2500, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
