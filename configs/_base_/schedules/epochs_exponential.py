# Adam, lr multiplied by 0.999 after every epoch; validated every 20 epochs (spine CT/MR system).
_base_ = ['epochs_constant.py']

optim_wrapper = dict(optimizer=dict(lr=1e-4, amsgrad=False))
param_scheduler = [dict(type='ExponentialLR', gamma=0.999, by_epoch=True)]
train_cfg = dict(max_epochs=400, val_interval=20)
