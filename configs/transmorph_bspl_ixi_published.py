# TransMorph-bspl on IXI with the sampling of the published code (docs/methods/transmorph.md): to measure and run
# converted weights, or to train as published.
_base_ = ['transmorph_bspl_ixi.py']

model = dict(flow_head=dict(sampler='mixed_corners_sizes'), integrator=dict(sampler='mixed_corners_sizes'))
