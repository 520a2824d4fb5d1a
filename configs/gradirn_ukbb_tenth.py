# Less training data: gradirn_ukbb.py with a seeded tenth of the training subjects, as many iterations.
_base_ = ['gradirn_ukbb.py']

train_dataloader = dict(dataset=dict(fraction=0.1, fraction_seed=0))
