# The protocol of the pyramid designs: Adam (amsgrad) at 1e-4, times 0.996 after every epoch. `--amp` is published.
_base_ = ['epochs_constant.py']

param_scheduler = [dict(type='ExponentialLR', gamma=0.996, by_epoch=True)]
train_cfg = dict(max_epochs=200, val_interval=10)
