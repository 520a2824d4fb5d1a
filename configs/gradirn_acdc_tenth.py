# Less training data: gradirn_acdc.py with a seeded tenth of the training subjects, as many iterations.
_base_ = ['gradirn_acdc.py']

train_dataloader = dict(dataset=dict(fraction=0.1, fraction_seed=0))
