# DWCPI on LUMIR: DWCP with two passes at 1/4 and 1/2 (all lists are finest first).
_base_ = ['pyramid_dwcp_lumir.py']

model = dict(flow_head=dict(iterations=[2, 2, 1, 1]))
