# TransMorph on OASIS (Learn2Reg 2021, task 3) with labels: LNCC 9 + Dice + diffusion, decoder up to half resolution.
# Published: two optimiser steps per drawn pair, one per direction; here pairs of both directions are drawn, one step
# each, so that the published 500 epochs are half as many steps (train_cfg.max_epochs=1000 for as many).
_base_ = [
    '_base_/models/transmorph.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/transmorph.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='OASIS validation: Dice 0.858, HD95 1.46, SDlogJ 0.125',
)

model = dict(
    backbone=dict(finest=1),
    flow_head=dict(resampling='centres'),
    label_values=36,
    losses=dict(overlap=dict(type='Dice', squared=True, absent='zero', weight=1.0)),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
