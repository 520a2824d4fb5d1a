# textscf_demo.py without the text-driven head: the same network and budget, one convolution instead.
_base_ = ['textscf_demo.py']

model = dict(flow_head=dict(_delete_=True, type='ConvFlowHead', int_downsize=1, resampling='centres'))
