# TransMorph-Large on OASIS.
_base_ = ['transmorph_oasis.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='OASIS validation: Dice 0.862, HD95 1.43, SDlogJ 0.128',
)

model = dict(backbone=dict(width=128, depths=[2, 2, 12, 2], heads=[4, 4, 8, 16]))
