# The recipe of the TransMorph authors: Adam (amsgrad) at 1e-4, polynomial rate, 500 epochs, one pair per step.
_base_ = ['epochs_polynomial.py']

optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_epochs=500)
