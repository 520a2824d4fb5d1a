# scf_on_transmorph.py without the filters: one convolution.
_base_ = ['scf_on_transmorph.py']

model = dict(flow_head=dict(_delete_=True, type='ConvFlowHead'))
