# scf_on_eoir.py without the filters: one convolution.
_base_ = ['scf_on_eoir.py']

model = dict(flow_head=dict(_delete_=True, type='ConvFlowHead', int_downsize=2))
