# TransMorph on OASIS with the sampling of the published code (docs/methods/transmorph.md): to measure and run converted
# weights, or to train as published.
_base_ = ['transmorph_oasis.py']

model = dict(flow_head=dict(scale=0.5, sampler='mixed_corners'))
