# uniGradICON's second stage on LUMIR alone: a fourth step is added and all are trained, 201 epochs of 1000 pairs.
# It starts from the first stage, which has no weights for the new step: strict=False.
_base_ = ['unigradicon_lumir.py']
first_stage = 'unigradicon_lumir.py'

model = dict(flow_head=dict(steps={{_base_.four_steps}}))

train_cfg = dict(max_iters=12500, val_interval=2500)
default_hooks = dict(checkpoint=dict(strict=False))
