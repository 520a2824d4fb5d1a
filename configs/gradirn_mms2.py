# GraDIRN on M&Ms-2, slice by slice: the folder as `mmreg data prepare MMs2 SOURCE data/MMs2` makes it, otherwise as
# gradirn_mms_trained.py.
_base_ = ['gradirn_mms_trained.py']

data_root = '{{$MMREG_DATA:data}}/MMs2'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
