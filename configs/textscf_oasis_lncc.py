# TextSCF on OASIS, ablation: LNCC instead of MSE.
_base_ = ['textscf_oasis.py']

model = dict(losses=dict(similarity=dict(_delete_=True, type='LNCC', window=9, weight=1.0)))
