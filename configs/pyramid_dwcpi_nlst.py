# DWCPI on NLST lungs: pyramid_dwp_nlst.py with correlation and refinement.
_base_ = ['pyramid_dwp_nlst.py']

model = dict(flow_head=dict(correlation=dict(radius=1), iterations=[2, 2, 1, 1]))
