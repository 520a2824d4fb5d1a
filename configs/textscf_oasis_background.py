# TextSCF on OASIS, ablation: no label map: one filter everywhere, an ordinary 1x1x1 convolution.
_base_ = ['textscf_oasis.py']

model = dict(flow_head=dict(prompt='background'))
