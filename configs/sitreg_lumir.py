# SITReg on LUMIR, first stage of the challenge's winner: 30 epochs of 2000 pairs, four pairs per step.
# Published on four GPUs with one pair each: `tools/dist_train.sh configs/sitreg_lumir.py 4`. On one GPU:
# --cfg-options optim_wrapper.accumulative_counts=4 train_cfg.max_iters=60000 train_cfg.val_interval=4000
# Both stages: python tools/train_stages.py configs/sitreg_lumir.py configs/sitreg_lumir_finetune.py
_base_ = [
    '_base_/models/sitreg.py',
    '_base_/datasets/lumir.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='SITReg',
    paper='MELBA 2024',
    page='methods/sitreg',
    published='LUMIR validation: Dice 0.7742',
)

optim_wrapper = dict(optimizer=dict(lr=4e-4))
train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'))
train_cfg = dict(max_iters=15000, val_interval=1000)

default_hooks = dict(
    checkpoint=dict(interval=1000, max_keep_ckpts=5, save_best='reg/dice', rule='greater'),
)
