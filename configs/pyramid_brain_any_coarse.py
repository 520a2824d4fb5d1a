# First of three trainings of the small network: parts of brains, so that a step takes half of the time.
_base_ = ['pyramid_brain_any_constant.py']

__card__ = dict(
    method='SynthMorph',
    paper='IEEE TMI 2022, arXiv 2004.10282',
    page='methods/own_weights',
)

__shared__ = dict(
    size=(40, 48, 40),
    deformation=dict(knots=(20.0, 10.0, 5.0), amplitude=(1.0, 0.8, 0.4), zoom=(0.9, 1.3), shift=0.5),
)
train_dataloader = dict(dataset=__shared__)
val_dataloader = dict(dataset=__shared__)
test_dataloader = dict(dataset=__shared__)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
first_stage = None
train_cfg = dict(max_iters=6300, val_interval=1000)
