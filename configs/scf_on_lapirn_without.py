# scf_on_lapirn.py without the filters: one convolution.
_base_ = ['scf_on_lapirn.py']

model = dict(flow_head=dict(_delete_=True, type='ConvFlowHead'))
