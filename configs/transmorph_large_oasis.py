# TransMorph-Large on OASIS.
_base_ = ['transmorph_oasis.py']

model = dict(backbone=dict(width=128, depths=[2, 2, 12, 2], heads=[4, 4, 8, 16]))
