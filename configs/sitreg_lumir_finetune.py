# SITReg on LUMIR, second stage: triplets, whose maps have to close the circle, and the non-diffeomorphic volume that
# the challenge scores. 15 epochs of 2000 draws (here: triplets), four per step; the weight of the group rises during
# the first epoch. It starts from the first stage: tools/train_stages.py, or --cfg-options load_from=CHECKPOINT.
_base_ = ['sitreg_lumir.py']
first_stage = 'sitreg_lumir.py'

__card__ = dict(
    method='SITReg',
    paper='MELBA 2024',
    page='methods/sitreg',
    published='LUMIR validation: Dice 0.7805, TRE 2.301 mm, HD95 3.12, NDV 0.0025 %',
)

# 1e-5 per voxel with its volume, as published, of the inner voxels of 160x224x192; half for either direction.
ndv = 0.5e-5 * 158 * 222 * 190

model = dict(
    type='GroupRegistrar',
    group=3,
    losses=dict(
        folding=dict(type='NonDiffeomorphicVolume', on='displacement', weight=ndv),
        inverse_folding=dict(type='NonDiffeomorphicVolume', on='inverse_displacement', weight=ndv),
        group=dict(type='GroupCycle', group=3, unit='half_extent', weight=0.0),
    ),
)

optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_dataloader = dict(batch_size=3, drop_last=True)
train_cfg = dict(max_iters=7500, val_interval=500)

custom_hooks = [dict(type='LossWeightHook', by_epoch=False, weights=dict(group=[(0, 0.0), (500, 40.0)]))]
default_hooks = dict(checkpoint=dict(interval=500))
