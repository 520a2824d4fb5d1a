# Conditional LapIRN (lite) on OASIS; third of three trainings:
#   python tools/train_stages.py configs/clapirn_oasis_level1.py configs/clapirn_oasis_level2.py \
#       configs/clapirn_oasis.py
# The two coarser levels stand still for the first 3000 steps.
_base_ = [
    '_base_/models/clapirn.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]
first_stage = 'clapirn_oasis_level2.py'

__card__ = dict(
    method='Conditional LapIRN',
    paper='MICCAI 2021',
    page='methods/lapirn',
    published='validation: Dice 0.826 at s = 0.1 (lite)',
)

train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'), dataset=dict(pairing='ordered'))
train_cfg = dict(max_iters=60001, val_interval=5000)
coarser = [f'flow_head.pyramid.{part}.{level}' for part in ('networks', 'flows') for level in (1, 2)]
custom_hooks = [dict(type='FreezeHook', modules=coarser, iterations=3000)]

default_hooks = dict(
    checkpoint=dict(interval=5000, max_keep_ckpts=3, save_best='reg/dice', rule='greater'),
)
