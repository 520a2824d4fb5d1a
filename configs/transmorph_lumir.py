# TransMorph-TVF on LUMIR (the baseline of the challenge): LNCC 9 + 1 * diffusion, AdamW, polynomial rate.
# Published: 500 epochs, two optimiser steps per drawn pair, one per direction. Here both directions are drawn, one step
# each: 1000 epochs have as many steps and the same rate at each.
_base_ = [
    '_base_/models/transmorph_tvf.py',
    '_base_/datasets/lumir.py',
    '_base_/schedules/transmorph.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='LUMIR validation (TVF): Dice 0.7594, TRE 2.423 mm, HD95 3.51, NDV 0.351 %',
)

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0, amsgrad=True))
train_cfg = dict(max_epochs=1000)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
