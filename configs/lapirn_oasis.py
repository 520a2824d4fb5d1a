# LapIRN, diffeomorphic, on OASIS by the authors' recipe; third of three trainings:
#   python tools/train_stages.py configs/lapirn_oasis_level1.py configs/lapirn_oasis_level2.py configs/lapirn_oasis.py
# The two coarser levels stand still for the first 2000 steps.
_base_ = [
    '_base_/models/lapirn.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]
first_stage = 'lapirn_oasis_level2.py'

__card__ = dict(
    method='LapIRN',
    paper='MICCAI 2020',
    page='methods/lapirn',
    published='OASIS validation: Dice 0.861, HD95 1.51, SDlogJ 0.072',
)

train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'), dataset=dict(pairing='ordered'))
train_cfg = dict(max_iters=60001, val_interval=5000)
coarser = [f'flow_head.pyramid.{part}.{level}' for part in ('networks', 'flows') for level in (1, 2)]
custom_hooks = [dict(type='FreezeHook', modules=coarser, iterations=2000)]

default_hooks = dict(
    checkpoint=dict(interval=5000, max_keep_ckpts=3, save_best='reg/dice', rule='greater'),
)
