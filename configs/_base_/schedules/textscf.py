# Adam (amsgrad), lr 1e-4, polynomial decay with power 0.9 per epoch, 501 epochs: the published OASIS recipe.
# The published script rounds the learning rate to 8 decimals (type='PolynomialRounded'); this is the plain schedule.
_base_ = ['epochs_constant.py']

optim_wrapper = dict(optimizer=dict(lr=1e-4, amsgrad=True))
param_scheduler = [dict(type='PolyLR', power=0.9, by_epoch=True)]
train_cfg = dict(max_epochs=501, val_interval=5)
