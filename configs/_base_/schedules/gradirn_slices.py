# gradirn.py for slices in batches of 10. The release visits every subject ten times per epoch, one slice each; here an
# epoch is one pass.
_base_ = ['gradirn.py']

train_cfg = dict(max_epochs=5000, val_interval=100)
