# Spine CT/MR: data_root/{train,val,test}/ID/{ct,ct_mask,mr_t1,mr_mask}.nii.gz; fixed: MR T1, moving: CT.
# The label map of the MR may be absent: it is used for scores only. A vertebra has one number in both maps (VerSe).
_base_ = ['../loaders.py']

dataset_type = 'SpineCTMRDataset'
data_root = '{{$MMREG_DATA:data}}/SpineCTMR'
image_size = (64, 128, 64)  # training crop, voxels of 1 mm
num_classes = 26
num_samples = 2  # crops per case and epoch, one optimiser step each
# What is kept in memory are single images after loading, resampling and intensities: 10 % of them, as published.
cache = dict(type='memory', rate=0.1)
# Augmentation of the CT: off as shipped.
aug_cfg = dict(prob=0.0, translate=3.0, rotate=0.05235987755982988)  # pi / 60

inference = dict(
    spacing=1.0,
    orientation='RAS',
    intensity=[
        dict(type='ClipWindow', low=-1000.0, high=2000.0, images=['moving']),
        dict(type='MinMax', images=['fixed']),
    ],
    rigidity=True,
)

train_pipeline = [
    dict(type='MatchFixedGrid'),
    dict(type='RandomRigid', **aug_cfg),
    dict(type='CropVertebrae', multiple=16),
    dict(type='CommonVertebrae'),
    # Draws again where no vertebra has more than 500 voxels; published training skips such crops.
    dict(type='RandomVertebraCrop', size=image_size, num_classes=num_classes, min_voxels=500),
    dict(type='DropSmallVertebrae', min_voxels=500),
    dict(type='PackRegInputs'),
]
val_pipeline = [
    dict(type='MatchFixedGrid'),
    dict(type='CropVertebrae', multiple=16),
    dict(type='CommonVertebrae'),
    dict(type='RandomVertebraCrop', size=image_size, num_classes=num_classes, min_voxels=500),
    dict(type='DropSmallVertebrae', min_voxels=500),
    dict(type='PackRegInputs'),
]
test_pipeline = [
    dict(type='MatchFixedGrid'),
    dict(type='CropVertebrae', multiple=16),
    dict(type='CommonVertebrae'),
    dict(type='DropSmallVertebrae', min_voxels=500),
    dict(type='PackRegInputs'),
]

# What the three splits have in common; not part of the config itself.
__shared__ = dict(type=dataset_type, data_root=data_root)
__crops__ = dict(**__shared__, num_samples=num_samples, cache=cache)
train_dataloader = dict(dataset=dict(**__crops__, split='training', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**__crops__, split='validation', pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(**__shared__, split='test', cache=None, pipeline=test_pipeline))

val_evaluator = [
    dict(type='DiceMetric', unlabelled='skip'),
    dict(type='RigidityMetric'),
    dict(type='IntensityMetric', scores=['nmi']),
    dict(type='JacobianMetric'),
]
test_evaluator = [
    dict(type='DiceMetric', unlabelled='skip'),
    dict(type='SurfaceMetric', unlabelled='skip'),
    dict(type='RigidityMetric', rigid_dice=True),
    dict(type='IntensityMetric', scores=['nmi']),
    dict(type='JacobianMetric'),
]
