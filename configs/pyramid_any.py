# The small network for images of any kind, last of three trainings: the rate falls to zero.
#   mmreg train-stages pyramid_any_coarse pyramid_any_constant pyramid_any
_base_ = ['pyramid_any_constant.py']
first_stage = 'pyramid_any_constant.py'

__card__ = dict(
    method='SynthMorph',
    paper='IEEE TMI 2022, arXiv 2004.10282',
    page='methods/own_weights',
)

param_scheduler = [dict(type='PolyLR', power=1.0, eta_min=0, by_epoch=False)]
train_cfg = dict(max_iters=600, val_interval=300)
