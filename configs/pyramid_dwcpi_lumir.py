# DWCPI on LUMIR: DWCP with two passes at 1/4 and 1/2 (all lists are finest first).
_base_ = ['pyramid_dwcp_lumir.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(flow_head=dict(iterations=[2, 2, 1, 1]))
