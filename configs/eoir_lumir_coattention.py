# EOIR on LUMIR with a stronger encoder: co-attention between the two images at the two coarsest levels (1680 and 13440
# voxels of the full size). Everything else as in eoir_lumir.py; docs/own_parts.md shows how the part was made.
_base_ = ['eoir_lumir.py']

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
)

model = dict(backbone=dict(type='CoAttentionPyramid', attended=2, heads=4))
