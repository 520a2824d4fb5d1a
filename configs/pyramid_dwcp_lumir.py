# DWCP on LUMIR: DWP with local correlation, radius 1.
_base_ = ['pyramid_dwp_lumir.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(flow_head=dict(correlation=dict(radius=1)))
