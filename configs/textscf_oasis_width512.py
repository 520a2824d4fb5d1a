# TextSCF on OASIS, ablation: filter width C_phi=512 instead of 2048, N=8.
_base_ = ['textscf_oasis.py']

model = dict(backbone=dict(channels=8), flow_head=dict(hidden_dim=512))
