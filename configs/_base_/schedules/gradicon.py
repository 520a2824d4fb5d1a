# The recipe of GradICON and uniGradICON: Adam at 5e-5, four pairs per GPU on four GPUs, 801 epochs of 1000 pairs.
_base_ = ['iterations.py']

optim_wrapper = dict(optimizer=dict(lr=5e-5))
train_cfg = dict(max_iters=50000, val_interval=2500)
