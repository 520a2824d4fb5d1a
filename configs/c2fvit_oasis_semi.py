# C2FViT on OASIS, semi-supervised: 0.5 * Dice beside the similarity.
_base_ = ['c2fvit_oasis.py']

model = dict(
    label_values=36,
    losses=dict(overlap=dict(type='Dice', absent='zero', weight=0.5)),
)
