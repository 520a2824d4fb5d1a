# TransMorph-TVF on LUMIR with the steps and the sampling of the published code (docs/methods/transmorph.md): to measure
# and run converted weights, or to train as published.
_base_ = ['transmorph_lumir.py']

model = dict(flow_head=dict(update='published', sampler='mixed_corners'))
