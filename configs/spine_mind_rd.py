# Spine CT/MR, second stage with rigid Dice only (setting "rd" of the paper).
_base_ = ['spine_mind_rigid.py']

__card__ = dict(
    method='Spine CT/MR',
    paper='MICCAI 2022, arXiv 2205.07568',
    page='methods/spine',
    published='in-house data, medians read off plots: Dice 0.82, rigid Dice 0.91',
)

model = dict(
    losses=dict(
        orthonormality=dict(weight=None),
        properness=dict(weight=None),
        rigid_field=dict(weight=None),
    ),
)
