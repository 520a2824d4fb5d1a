# DWCPI on OASIS: pyramid_dwp_oasis.py with correlation and refinement.
_base_ = ['pyramid_dwp_oasis.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(flow_head=dict(correlation=dict(radius=1), iterations=[2, 2, 1, 1]))
