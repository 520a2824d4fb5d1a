# The recipe of the GraDIRN release: Adam at 1e-4 without decay, 500 epochs. `--amp` is published.
_base_ = ['epochs_constant.py']

optim_wrapper = dict(optimizer=dict(lr=1e-4, amsgrad=False))
train_cfg = dict(max_epochs=500, val_interval=10)
