# DWCPI on NLST lungs: pyramid_dwp_nlst.py with correlation and refinement.
_base_ = ['pyramid_dwp_nlst.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(flow_head=dict(correlation=dict(radius=1), iterations=[2, 2, 1, 1]))
