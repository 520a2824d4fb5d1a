# uniGradICON's network on OASIS, all four steps at once, by the published loss. The authors measured their foundation
# model on OASIS without training on it: convert their weights and use tools/test.py with this config.
_base_ = [
    '_base_/models/unigradicon.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/gradicon.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='uniGradICON',
    paper='MICCAI 2024',
    page='methods/gradicon',
)

train_dataloader = dict(batch_size=4, sampler=dict(type='SeededInfiniteSampler'))

default_hooks = dict(
    checkpoint=dict(interval=2500, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
