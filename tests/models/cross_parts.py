"""Small forms of every registered part, and which of them belong together.

A new part needs an entry here: `test_every_registered_part_has_an_entry` fails without one.
"""

import re

from mmreg.registry import BACKBONES, FLOW_HEADS, INTEGRATORS

BACKBONE_FORMS = {
    'CoAttentionPyramid': {'levels': 2, 'heads': 1, 'encoder': {'type': 'EOIREncoder', 'channels': 2}},
    'ConvPyramid': {'channels': (2, 3), 'first_level': 0},
    'DescriptorPyramid': {'channels': (2, 3), 'first_level': 0},
    'GradICONUNet': {'channels': (2, 4), 'up_channels': (2, 4)},
    'ImagePyramid': {'levels': 2},
    'LKUNet': {'channels': 1, 'kernel': 5},
    'LapIRN': {'levels': 2, 'channels': 4, 'blocks': 1},
    'PoolingPyramid': {'levels': 2},
    'ResizePyramid': {'levels': 2, 'encoder': {'type': 'EOIREncoder', 'channels': 2}},
    'SITRegEncoder': {'channels': (4, 4), 'num_convs': 1},
    'SYMNet': {'channels': 2},
    'StagedUNet': {
        'encoder': {'out_channels': [2, 3, 3]},
        'decoder': {'out_channels': [2]},
        'remaining': {'out_channels': [2]},
    },
    'SwinPyramid': {'width': 4, 'patch_size': 2, 'depths': (1, 2), 'heads': (1, 2), 'window': 2},
    'TransMorph': {'width': 4, 'patch_size': 2, 'depths': (1, 2), 'heads': (1, 2), 'window': 2, 'channels': 3},
    'UNet': {'features': ((2, 2), (2, 2, 3))},
}
_UNET = {'type': 'UNet', 'features': ((2,), (2, 2))}
HEAD_FORMS = {
    'AffineTransformerHead': {'stages': 2, 'channels': 16, 'depths': 1, 'heads': 2},
    'CoarseToFineHead': {'search_radius': 0},
    'ConvFlowHead': {'int_downsize': 2, 'bidirectional': True},
    'FFDHead': {'channels': (3,)},
    'FreeField': {},
    'GaussianFlowHead': {},
    'GraDIRNHead': {'repeats': 1, 'layers': 2, 'channels': 2},
    'LapIRNHead': {'channels': 4, 'blocks': 1},
    'MatchingHead': {'bidirectional': True},
    'MultiStepHead': {
        'steps': [
            {'level': 1, 'backbone': _UNET, 'flow_head': {'type': 'ConvFlowHead'}},
            {'level': 0, 'backbone': _UNET, 'flow_head': {'type': 'ConvFlowHead'}},
        ]
    },
    'PyramidHead': {'channels': 3, 'correlation': {'radius': 1}, 'iterations': 2},
    'SITRegHead': {'channels': 4, 'num_convs': 1},
    'SymmetricHead': {'kernel': 3, 'scale': 2.0},
    'TextSCFHead': {
        'label_set': {'labels': {1: 'liver', 2: 'spleen'}},
        'text_embedding': {'type': 'HashTextEmbedding', 'dim': 8},
        'hidden_dim': 4,
        'prompt': 'fixed_labels',
    },
    'TimeVaryingHead': {'steps': 2, 'width': 3, 'channels': 3},
}
_ENCODER = {'type': 'EOIREncoder', 'channels': 2}
_SWIN = {'width': 4, 'depths': (1, 2), 'heads': (1, 2), 'window': 2}
#: Further forms of backbones: features that end at coarser grids, one level, axes reduced differently, any sizes.
OTHER_BACKBONES = {
    'half': ('ConvPyramid', {'channels': (2, 3, 4), 'first_level': 1}),
    'joint': ('ConvPyramid', {'channels': (2, 3), 'siamese': False, 'first_level': 0}),
    'two-channels': ('ConvPyramid', {'channels': (2, 3), 'image_channels': 2, 'first_level': 0}),
    'one-level': ('ImagePyramid', {'levels': 1}),
    'slices': ('ImagePyramid', {'levels': 3, 'factors': 'slices'}),
    'thirds': ('ImagePyramid', {'levels': 2, 'factors': 3, 'method': 'block'}),
    'partial-blocks': ('ImagePyramid', {'levels': 2, 'method': 'block_partial', 'any_size': True}),
    'any-size': ('ImagePyramid', {'levels': 2, 'any_size': True}),
    'quarter': ('PoolingPyramid', {'levels': 1, 'first_level': 2}),
    'resized-half': ('ResizePyramid', {'levels': 2, 'first_level': 1, 'encoder': _ENCODER}),
    'resized-slices': ('ResizePyramid', {'levels': 3, 'factors': 'slices', 'encoder': _ENCODER}),
    'fractions': ('ResizePyramid', {'levels': 2, 'factors': 1.5, 'encoder': _ENCODER}),
    'padded': ('SITRegEncoder', {'channels': (4, 4, 4), 'num_convs': 1, 'any_size': False}),
    'patches-of-4': ('SwinPyramid', {'patch_size': 4, **_SWIN}),
    'swin-joint': ('SwinPyramid', {'patch_size': 2, 'convolution_skip': False, 'siamese': False, **_SWIN}),
    'transmorph-half': ('TransMorph', {'patch_size': 4, 'channels': 3, 'finest': 1, **_SWIN}),
    'transmorph-averaged': ('TransMorph', {'patch_size': 4, 'channels': 3, 'image_downsample': 2, **_SWIN}),
    'unet-slices': ('UNet', {'features': ((2, 2), (2, 2, 3)), 'factors': 'slices'}),
    'unet-half': ('UNet', {'features': ((2, 2), (2, 2, 3)), 'half_res': True}),
    'lku-half': ('LKUNet', {'channels': 1, 'kernel': 5, 'half_resolution': True}),
    'lapirn-slices': ('LapIRN', {'levels': 2, 'channels': 4, 'blocks': 1, 'factors': 'slices'}),
}
#: Other forms where the one above asks for more than a joint feature map gives.
JOINT_FORMS = {'PyramidHead': {'channels': 3, 'warp': False}}
INTEGRATOR_FORMS = {
    'BSplineFFD': {'spacing': 3, 'steps': 2},
    'IdentityIntegrator': {},
    'RungeKutta': {'steps': 2, 'order': 2},
    'ScalingSquaring': {'steps': 3},
}
#: The integrator a head is mostly used with.
NATURAL = {
    'AffineTransformerHead': 'IdentityIntegrator',
    'FFDHead': 'BSplineFFD',
    'FreeField': 'IdentityIntegrator',
    'GraDIRNHead': 'IdentityIntegrator',
    'MultiStepHead': 'IdentityIntegrator',
    'TimeVaryingHead': 'IdentityIntegrator',
}

#: Heads that compare or warp features of each image, heads that need the images themselves; all others take anything.
NEED_PAIRS = {'AffineTransformerHead', 'CoarseToFineHead', 'LapIRNHead', 'MatchingHead', 'SITRegHead'}
NEED_IMAGES = {'GraDIRNHead', 'MultiStepHead'}
#: With the forms above: heads that use two levels, heads that need strides of whole numbers.
NEED_TWO_LEVELS = {'AffineTransformerHead', 'MultiStepHead'}
NEED_WHOLE_STRIDES = {'AffineTransformerHead', 'LapIRNHead', 'MatchingHead', 'PyramidHead', 'SITRegHead'}
#: Heads that give control points, heads that give no flow to integrate; all others give a flow per voxel.
GIVE_CONTROL_POINTS = {'FFDHead'}
GIVE_NO_FLOW = {'AffineTransformerHead'}


def mine(registry):
    """Names of our own parts: other tests register parts of users beside them."""
    registry.import_from_location()
    return sorted(name for name, part in registry.module_dict.items() if part.__module__.startswith('mmreg.'))


PARTS = [(mine(BACKBONES), BACKBONE_FORMS), (mine(FLOW_HEADS), HEAD_FORMS), (mine(INTEGRATORS), INTEGRATOR_FORMS)]


def probe(head):
    """A backbone that a head works with."""
    return 'ImagePyramid' if head in NEED_IMAGES else 'ConvPyramid'


def each_part_once():
    """Triples of backbone, head and integrator: every part in one at least."""
    (backbones, _), (heads, _), (integrators, _) = PARTS
    found = {(name, 'ConvFlowHead', natural('ConvFlowHead')) for name in backbones}
    found |= {(probe(name), name, natural(name)) for name in heads}
    found |= {
        (probe(''), 'FFDHead' if INTEGRATORS.get(name).control_points else 'ConvFlowHead', name) for name in integrators
    }
    return sorted(found)


def natural(head):
    return NATURAL.get(head, 'ScalingSquaring')


def other_backbone(name, ndim):
    """The config of a further form; ``'slices'`` keeps the last axis."""
    part, form = OTHER_BACKBONES[name]
    if form.get('factors') == 'slices':
        form = {**form, 'factors': (2,) * (ndim - 1) + (1,)}
    return {'type': part, 'ndim': ndim, **form}


def config(backbone, head, integrator, ndim, siamese):
    """A model of the three parts with an objective; ``backbone``: a name of the table, or a config."""
    form = HEAD_FORMS[head] if siamese else JOINT_FORMS.get(head, HEAD_FORMS[head])
    return {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': backbone if isinstance(backbone, dict) else {'type': backbone, **BACKBONE_FORMS[backbone]},
        'flow_head': {'type': head, **form},
        'integrator': {'type': integrator, **INTEGRATOR_FORMS[integrator]},
        'losses': {
            'similarity': {'type': 'MSE'},
            'smoothness': {'type': 'Diffusion', 'on': 'displacement', 'weight': 0.1},
        },
    }


def spec_of(backbone, ndim):
    """What a backbone of the table returns."""
    return BACKBONES.build({'type': backbone, 'ndim': ndim, **BACKBONE_FORMS[backbone]}).spec


def refusal(spec, head, integrator):
    """Why the three cannot make a model, as a pattern of the sentence that must say so; None where they can."""
    images = spec.siamese and set(spec.channels) == {spec.image_channels}
    if head in NEED_IMAGES and not images:
        return rf'{head} needs the images themselves at every level \(ImagePyramid\), found learned or joint features'
    if head in NEED_PAIRS and not spec.siamese:
        return rf'{head} needs (one feature map per image|features of each image).*found joint features'
    grids = _refused_grids(spec, head)
    if grids is not None:
        return grids
    wants_control_points = INTEGRATORS.get(integrator).control_points
    if head in GIVE_NO_FLOW and integrator != 'IdentityIntegrator':
        return rf'{head} finds an affine map, which is not integrated: found {integrator}, expected'
    if head in GIVE_CONTROL_POINTS and not wants_control_points:
        return rf'{head} got the integrator {integrator}, expected BSplineFFD'
    if head not in GIVE_CONTROL_POINTS and wants_control_points:
        return rf'returns a flow per voxel, found the integrator {integrator}, which takes control points'
    return None


def _refused_grids(spec, head):
    """Why a head of the table cannot work on the grids of a backbone."""
    strides = [stride for level in spec.strides for stride in level]
    if head in NEED_TWO_LEVELS and spec.levels < 2:
        return rf'{head} got (stages=2, expected 1 to 1|level=1, expected 0 to 0)'
    if head in NEED_WHOLE_STRIDES and any(stride != int(stride) for stride in strides):
        return r'needs .*whole|needs grids that are multiples'
    if head == 'AffineTransformerHead' and any(len(set(level)) > 1 for level in spec.strides):
        return 'needs levels that are reduced alike along all axes'
    if head == 'TimeVaryingHead' and not any(all(s % 2 == 0 for s in level) for level in spec.strides):
        return 'needs features with an even stride along every axis'
    return None


def ends_as_one_sentence(text):
    """Whether a refusal is one sentence that names its part first."""
    return bool(re.fullmatch(r'[A-Z]\w+ .+\.', text)) and '\n' not in text
