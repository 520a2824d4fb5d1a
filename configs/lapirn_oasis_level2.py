# lapirn_oasis.py, second training: the two coarser levels, the coarsest standing still for the first 2000 steps.
_base_ = ['lapirn_oasis.py']
first_stage = 'lapirn_oasis_level1.py'

only_middle = [None, 1.0]
model = dict(
    flow_head=dict(stage=2),
    losses=dict(
        similarity=dict(windows=[5, 3], levels=only_middle),
        smoothness=dict(levels=only_middle),
    ),
)
train_cfg = dict(max_iters=30001)
coarser = ['flow_head.pyramid.networks.2', 'flow_head.pyramid.flows.2']
custom_hooks = [dict(type='FreezeHook', modules=coarser, iterations=2000)]
