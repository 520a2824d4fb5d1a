# TransMorph-TVF on OASIS with the steps and the sampling of the published code: see transmorph_lumir_published.py.
_base_ = ['transmorph_tvf_oasis.py']

model = dict(flow_head=dict(update='published', sampler='mixed_corners'))
