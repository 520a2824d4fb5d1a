# TransMorph-Bayes on IXI with the windows of the published code (docs/methods/transmorph.md): to measure and run
# converted weights, or to train as published.
_base_ = ['transmorph_bayes_ixi.py']

model = dict(backbone=dict(window_reverse='published_bayes'))
