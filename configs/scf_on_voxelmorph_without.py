# scf_on_voxelmorph.py without the filters: one convolution.
_base_ = ['scf_on_voxelmorph.py']

model = dict(flow_head=dict(_delete_=True, type='ConvFlowHead', int_downsize=2))
