# TextSCF on OASIS, ablation: start channel N=8 instead of 64: an eighth of the width.
_base_ = ['textscf_oasis.py']

model = dict(backbone=dict(channels=8))
