# TransMorph-TVF on IXI, atlas to patient; its authors published it on LUMIR and OASIS.
_base_ = [
    '_base_/models/transmorph_tvf.py',
    '_base_/datasets/ixi.py',
    '_base_/schedules/transmorph.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
)

default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=8, save_best='reg/dice', rule='greater'),
)
