# TransMorph-Large on OASIS with the sampling of the published code: see transmorph_oasis_published.py.
_base_ = ['transmorph_large_oasis.py']

model = dict(flow_head=dict(scale=0.5, sampler='mixed_corners'))
