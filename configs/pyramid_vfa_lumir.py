# VFA on LUMIR: features are matched by a softmax over the correlation instead of decoded. The widths are those that
# give the published number of parameters, 1 652 996.
_base_ = ['pyramid_dwp_lumir.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(
    backbone=dict(channels=[16, 32, 64, 96, 128]),
    flow_head=dict(_delete_=True, type='MatchingHead', projections=[32, 32, 64, 128], bidirectional=True),
)
