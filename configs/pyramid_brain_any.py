# The small network for brains of any contrast, last of three trainings: the rate falls to zero.
#   mmreg train-stages pyramid_brain_any_coarse pyramid_brain_any_constant pyramid_brain_any
_base_ = ['pyramid_brain_any_constant.py']
first_stage = 'pyramid_brain_any_constant.py'

__card__ = dict(
    method='SynthMorph',
    paper='IEEE TMI 2022, arXiv 2004.10282',
    page='methods/own_weights',
)

param_scheduler = [dict(type='PolyLR', power=1.0, eta_min=0, by_epoch=False)]
train_cfg = dict(max_iters=2500, val_interval=500)
