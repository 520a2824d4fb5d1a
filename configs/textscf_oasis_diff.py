# TextSCF on OASIS, ablation: the flow is a velocity, integrated at half resolution (published diff_int=1).
_base_ = ['textscf_oasis.py']

model = dict(flow_head=dict(int_downsize=2), integrator=dict(_delete_=True, type='ScalingSquaring', steps=7))
