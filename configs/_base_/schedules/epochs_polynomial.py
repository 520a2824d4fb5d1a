# Adam, lr(epoch) = round(lr0 * (1 - epoch / epochs) ** 0.9, 8), set per epoch.
_base_ = ['epochs_constant.py']

optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [dict(type='PolynomialRounded', power=0.9, by_epoch=True)]
train_cfg = dict(max_epochs=201)
