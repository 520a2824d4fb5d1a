# Spine CT/MR system (Jian et al., MICCAI 2022): VoxelMorph at half resolution, stationary velocity, both directions.
# Fixed: MR T1, moving: CT. This is the first training stage: similarity and smoothness; the rigidity losses are here
# with weight None (not computed) so that a config of the second stage only sets weights.
# A weight of 0 computes and logs a term without training with it.
int_steps = 7

model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(
        type='StagedUNet',
        encoder=dict(out_channels=[32, 32, 64, 64, 64], num_convs=1, pool_cfg=dict(type='max', kernel_size=2)),
        decoder=dict(out_channels=[64, 64, 64], num_convs=1, upsample_cfg=dict(type='nearest')),
        remaining=dict(out_channels=[32, 32]),
    ),
    # Published resize_scale 2. resize_first: int_downsize=1.
    flow_head=dict(type='ConvFlowHead', int_downsize=2, bidirectional=True, init_std=1e-5),
    integrator=dict(type='ScalingSquaring', steps=int_steps),
    losses=dict(
        # Published: the sum of both directions at weight 1; here their mean.
        similarity=dict(type='MINDSSC', radius=2, dilation=2, penalty='l2', direction='both', weight=2.0),
        # Published: 0.01 with loss_mult 2; acts on the velocity as the network returns it.
        smoothness=dict(type='Diffusion', penalty='l2', on='velocity', weight=0.02),
        orthonormality=dict(type='OrthonormalityCondition', border='zeros', on='displacement', weight=None),
        properness=dict(type='PropernessCondition', border='zeros', on='displacement', weight=None),
        rigid_dice=dict(
            type='RigidDice',
            num_samples=256,
            lr=1e-2,
            num_iterations=50,
            step_size=10,
            gamma=0.5,
            centre='origin',
            on='displacement',
            weight=None,
        ),
        rigid_field=dict(type='RigidField', num_samples=256, on='displacement', weight=None),
    ),
)
