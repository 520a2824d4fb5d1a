# pyramid.py counted in steps: a published epoch on LUMIR is 250 pairs, whatever the data set's own length.
_base_ = ['iterations.py']

optim_wrapper = dict(optimizer=dict(lr=1e-4, amsgrad=True))
param_scheduler = [dict(type='StepLR', step_size=250, gamma=0.996, by_epoch=False)]
train_cfg = dict(max_iters=25000, val_interval=2500)
