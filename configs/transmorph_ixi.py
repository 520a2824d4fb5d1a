# TransMorph on IXI, atlas to patient, by the authors' recipe: LNCC 9 + 1 * diffusion, 500 epochs.
_base_ = [
    '_base_/models/transmorph.py',
    '_base_/datasets/ixi.py',
    '_base_/schedules/transmorph.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='Dice 0.753, folds 1.58 %',
)

default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=8, save_best='reg/dice', rule='greater'),
)
