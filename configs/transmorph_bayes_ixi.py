# TransMorph-Bayes on IXI: dropout 0.15 in training and in evaluation. Evaluation runs 25 samples; the displacement is
# their mean (model.choose='best': the one with the smallest squared difference, as in the published script), and
# predictions carry the variance of the displacement and of the warped image.
_base_ = ['transmorph_ixi.py']

model = dict(type='MonteCarloRegistrar', samples=25, backbone=dict(drop=0.15, monte_carlo=True))
