# scf_on_voxelmorph.py without the filters: one convolution.
_base_ = ['scf_on_voxelmorph.py']

model = dict(flow_head=dict(_delete_=True, type='ConvFlowHead', int_downsize=2))

# Without filters there is nothing to prompt: no segmentations are needed.
preprocess = [step for step in _base_.preprocess if step['type'] != 'SegmentPrompt']
train_dataloader = dict(dataset=dict(preprocess=preprocess))
val_dataloader = dict(dataset=dict(preprocess=preprocess))
test_dataloader = dict(dataset=dict(preprocess=preprocess))
