# gradirn_demo.py with a tenth of the training subjects and the same number of iterations.
_base_ = ['gradirn_demo.py']

train_dataloader = dict(dataset=dict(fraction=0.1))
