# Second of three trainings of the small network: whole heads and parts of them with voxels of 3 to 4.5 mm, a constant
# rate, as long as there is time. Air around the head has to be learned, too.
_base_ = [
    '_base_/models/any_contrast.py',
    '_base_/datasets/any_brains.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

first_stage = 'pyramid_brain_any_coarse.py'

__card__ = dict(
    method='SynthMorph',
    paper='IEEE TMI 2022, arXiv 2004.10282',
    page='methods/own_weights',
)

__shared__ = dict(
    size=(48, 56, 48),
    resolution=3,
    deformation=dict(knots=(20.0, 10.0, 5.0), amplitude=(1.0, 0.8, 0.4), zoom=(1.0, 1.5), shift=0.8),
)
inference = dict(spacing=3.0)
model = dict(label_values=44)
train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'), dataset=__shared__)
val_dataloader = dict(dataset=__shared__)
test_dataloader = dict(dataset=__shared__)
optim_wrapper = dict(type='MixedPrecisionOptimWrapper', dtype='bfloat16', optimizer=dict(lr=1.5e-3))
train_cfg = dict(max_iters=5000, val_interval=1000)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100))
