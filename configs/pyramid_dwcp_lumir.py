# DWCP on LUMIR: DWP with local correlation, radius 1.
_base_ = ['pyramid_dwp_lumir.py']

model = dict(flow_head=dict(correlation=dict(radius=1)))
