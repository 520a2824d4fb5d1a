# TransMorph-Bayes on IXI: dropout 0.15 in training and in evaluation. Evaluation runs 25 samples; the displacement is
# their mean (model.choose='best': the one with the smallest squared difference, as in the published script), and
# predictions carry the variance of the displacement and of the warped image.
_base_ = ['transmorph_ixi.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='Dice 0.754, folds 1.56 %',
)

model = dict(type='MonteCarloRegistrar', samples=25, backbone=dict(drop=0.15, monte_carlo=True))
