# DWCPI on OASIS: pyramid_dwp_oasis.py with correlation and refinement.
_base_ = ['pyramid_dwp_oasis.py']

model = dict(flow_head=dict(correlation=dict(radius=1), iterations=[2, 2, 1, 1]))
