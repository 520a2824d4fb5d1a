# C2FViT on OASIS, semi-supervised: 0.5 * Dice beside the similarity.
_base_ = ['c2fvit_oasis.py']

__card__ = dict(
    method='C2FViT',
    paper='CVPR 2022',
    page='methods/c2fvit',
    published='affine, validation: Dice 0.577 (0.293 before)',
)

model = dict(
    label_values=36,
    losses=dict(overlap=dict(type='Dice', absent='zero', weight=0.5)),
)
