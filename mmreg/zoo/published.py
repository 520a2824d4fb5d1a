"""The published weights that are known here, and how they were checked.

Hashes and agreement were taken from the files themselves: the converted network against the authors' own classes on the
same images, displacement in voxels (largest, mean). Dice is that of 30 structures of one public pair of brains at 1 mm,
0.522 before.
"""

from __future__ import annotations

from typing import Any

from .entries import Entry, Needs

_MIN_MAX: tuple[dict[str, Any], ...] = ({'type': 'MinMax'},)
_LAPIRN = 'cwmok/LapIRN'
_LAPIRN_AT = '3effd6ccdbc0f44686a26c5b020a33849e9de4bc'
_SYMNET = 'cwmok/Fast-Symmetric-Diffeomorphic-Image-Registration-with-Convolutional-Neural-Networks'
_LKU = 'xi-jia/LKU-Net'
_TRANSMORPH = 'junyuchen245/TransMorph_Transformer_for_Medical_Image_Registration'
_NO_LICENCE, _SEE_PAGE, _APACHE = 'none stated', 'see its page', 'Apache-2.0 (code)'

#: Brains of OASIS-1 by FreeSurfer in Talairach space: without skull, 1 mm, axes left, inferior, anterior.
_OASIS = Needs('T1-weighted MR', True, 'LIA', 1.0, (160, 192, 224), _MIN_MAX, 'auto')
_IXI = Needs('T1-weighted MR', True, None, 1.0, (160, 192, 224), _MIN_MAX, 'auto')
_OASIS_2D = Needs('a slice of T1-weighted MR', True, None, 1.0, (160, 192), _MIN_MAX)
_LUMIR = Needs('T1-weighted MR', True, None, 1.0, (160, 224, 192), _MIN_MAX, 'auto')
_ANY = Needs('CT or MR', None, None, None, (175, 175, 175), _MIN_MAX, 'auto')
_SYNTH = Needs('MR of any contrast', True, 'LIA', 1.0, (160, 160, 192), _MIN_MAX, 'auto')
_LKU_2D = {'model.ndim': 2, 'model.backbone.channels': 8}
#: VxmDense of the TensorFlow code: outside of a field its nearest value is read; the flow ends at half resolution.
_VXM_HALF = {'model.backbone.half_res': True, 'model.integrator.padding': 'border'}
_SYNTHMORPH = _VXM_HALF | {
    'model.backbone.features': [[256] * 4, [256] * 6], 'model.integrator.steps': 5,
}  # fmt: skip
_VXM, _VXM_AT = 'voxelmorph/voxelmorph', 'https://surfer.nmr.mgh.harvard.edu/ftp/data/voxelmorph'

PUBLISHED: tuple[Entry, ...] = (
    Entry(
        'lapirn_diff_oasis', 'LapIRN', 'lapirn', 'lapirn_oasis_published', 'OASIS-1', _OASIS, 923748, 'MIT',
        _LAPIRN, 'Model/LapIRN_diff_fea7.pth', _LAPIRN_AT, 3717503,
        '1f37ca274dfbe9f44b5b66722401aa179d4b8b572ad6a73d3b1094d98b10737a',
        checked='1.6e-5, 5.9e-7 voxel; Dice 0.700',
    ),
    Entry(
        'lapirn_disp_oasis', 'LapIRN', 'lapirn_disp', 'lapirn_oasis_disp_published', 'OASIS-1', _OASIS, 923748,
        'MIT', _LAPIRN, 'Model/LapIRN_disp_fea7.pth', _LAPIRN_AT, 3717631,
        '9485191cb215e69b6b43ec4d64eb4fd4be4dcec6fce9f59209d8510378cdc2c0',
        checked='1.1e-4, 7e-7 voxel; Dice 0.752', note='folds occur: its field is a displacement, not a diffeomorphism',
    ),
    Entry(
        'clapirn_lite_oasis', 'conditional LapIRN', 'clapirn', 'clapirn_oasis_published', 'OASIS-1', _OASIS, 503744,
        'MIT', 'cwmok/Conditional_LapIRN',
        'Model/LDR_OASIS_NCC_unit_disp_add_fea4_reg01_10_lite_stagelvl3_60000.pth',
        '609b89a922864a4cf1d8ae8a61ce5d56a800c9f1', 2115225,
        'c67ac1c8535a45f856d79c89686fb49a7eb9b349b7d7b9f704010d7a5c3d9089',
        checked='2.7e-5, 7.8e-7 voxel; Dice 0.746', note='smoothness by --cfg-options model.flow_head.code=0..1',
    ),
    Entry(
        'symnet_oasis', 'SYMNet', 'symnet', 'symnet_oasis', 'OASIS-1', _OASIS, 862351, 'MIT',
        _SYMNET, 'Model/SYMNet_neurite_oasis_smo30_update_80000.pth', 'f16a29dab36be94d856ae32c67e2e923d2924748',
        3464633, 'e27a7eebedf6c0dd9a6823e5f65986ec2b11998f60eef68b45ff978c3efa3f79',
        checked='4.8e-5, 7.7e-7 voxel; Dice 0.742',
    ),
    Entry(
        'lkunet_ixi_n4', 'LKU-Net', 'lkunet', 'lkunet_ixi', 'IXI, atlas to patient', _IXI, 522302, _NO_LICENCE,
        _LKU, 'L2ss_2_Chan_4_LR_0.0001_Smooth_5.0/DiceVal_0.7411_Epoch_0879.pth',
        '6a2b6546976e03909d2de2104a773a56bdf20eb7', 2119785,
        '5c4db88e23c6e3c49ac16a60df2cc0ddc953fc08712c2e44f751d2f40ab0bc33',
        options={'model.backbone.channels': 4}, published='Dice 0.7411 in validation', checked='2.9e-5, 1.5e-6 voxel',
        note='the IXI volumes of TransMorph',
    ),
    Entry(
        'lkunet_oasis_2d', 'LKU-Net', 'lkunet', 'lkunet_oasis', 'OASIS-1, coronal slices', _OASIS_2D, 779318,
        _NO_LICENCE, _LKU,
        'LKU-Net_2D_OASIS/L2ss_2_Chan_8_Smth_0.05_Set_4_LR_0.0001_Pth/DiceVal_0.7571_Step_000249240.pth',
        'c304a36d099a084ebaba743de387fab816c182c2', 3146537,
        '68c849f8d3e61ca5d8d871f12eeb29f8fa713ee3471735abba3fe846ae0f0827',
        options=_LKU_2D, published='Dice 0.7571 in validation', checked='5e-6, 4e-7 voxel',
    ),
    Entry(
        'lkunet_oasis_2d_smooth0.1', 'LKU-Net', 'lkunet', 'lkunet_oasis', 'OASIS-1, coronal slices', _OASIS_2D, 779318,
        _NO_LICENCE, _LKU,
        '2D_OASIS_LKU-Net_8.7/L2ss_2_Chan_8_Smth_0.1_Set_4_LR_0.0001_Pth/DiceVal_0.7568_Step_000377880.pth',
        'f313c02dcd8b2b61d249bc4bec7fff6b3785235c', 3146537,
        'c85fb794cc72b1f4150b46b3d55857257fe7e56c80bc9decd83e51190fa8ae2d',
        options=_LKU_2D, published='Dice 0.7568 in validation', checked='5e-6, 4e-7 voxel',
    ),
    # Known to exist, not had here: without an address and a hash, so the user gives the file.
    Entry(
        'clapirn_oasis', 'conditional LapIRN', 'clapirn', 'clapirn_oasis_published', 'OASIS-1', _OASIS, 1222068, 'MIT',
        'cwmok/Conditional_LapIRN', options={'model.flow_head.channels': 28, 'model.flow_head.layout': 'full'},
        note='the full network (start channel 7); smoothness by --cfg-options model.flow_head.code=0..1',
    ),
    Entry(
        'lkunet_ixi_n8', 'LKU-Net', 'lkunet', 'lkunet_ixi', 'IXI, atlas to patient', _IXI, 2086342, _NO_LICENCE, _LKU,
        note='the IXI volumes of TransMorph',
    ),
    Entry(
        'transmorph_ixi', 'TransMorph', 'transmorph', 'transmorph_ixi', 'IXI, atlas to patient', _IXI, 46771251,
        _SEE_PAGE, _TRANSMORPH, note='behind a link of its page; the IXI volumes that the page offers',
    ),
    Entry(
        'transmorph_oasis', 'TransMorph', 'transmorph', 'transmorph_oasis_published', 'OASIS-1', _OASIS, 46556115,
        _SEE_PAGE, _TRANSMORPH, note='behind a link of its page',
    ),
    Entry(
        'transmorph_large_oasis', 'TransMorph-Large', 'transmorph', 'transmorph_large_oasis_published', 'OASIS-1',
        _OASIS, 107949059, _SEE_PAGE, _TRANSMORPH, note='behind a link of its page',
    ),
    Entry(
        'transmorph_tvf_oasis', 'TransMorph-TVF', 'transmorph', 'transmorph_tvf_oasis_published', 'OASIS-1', _OASIS,
        17448285, _SEE_PAGE, _TRANSMORPH, note='behind a link of its page',
    ),
    Entry(
        'transmorph_tvf_lumir', 'TransMorph-TVF', 'transmorph', 'transmorph_lumir_published', 'LUMIR', _LUMIR, 17448285,
        _SEE_PAGE, _TRANSMORPH, published='LUMIR validation: Dice 0.7594', note='behind a link of its page',
    ),
    Entry(
        'vxm_brain_t1', 'VoxelMorph', 'voxelmorph_keras', 'voxelmorph_oasis', 'T1-weighted brains of several studies',
        _OASIS, 313507, _APACHE, _VXM, options=_VXM_HALF, link=f'{_VXM_AT}/models/vxm_dense_brain_T1_3D_mse.h5',
        note='an HDF5 file of Keras',
    ),
    Entry(
        'synthmorph_shapes', 'VoxelMorph', 'voxelmorph_keras', 'voxelmorph_oasis', 'synthetic images of random shapes',
        _SYNTH, 21270787, _APACHE, _VXM, options=_SYNTHMORPH,
        link=f'{_VXM_AT}/synthmorph/shapes-dice-vel-3-res-8-16-32-256f.h5',
        note='SynthMorph; an HDF5 file of Keras',
    ),
    Entry(
        'synthmorph_brains', 'VoxelMorph', 'voxelmorph_keras', 'voxelmorph_oasis', 'synthetic images of brain labels',
        _SYNTH, 21270787, _APACHE, _VXM, options=_SYNTHMORPH,
        link=f'{_VXM_AT}/synthmorph/brains-dice-vel-0.5-res-16-256f.h5',
        note='SynthMorph; an HDF5 file of Keras',
    ),
    Entry(
        'vxm_diff_ixi', 'VoxelMorph', 'voxelmorph_diff', 'voxelmorph_diff_ixi', 'IXI, atlas to patient', _IXI,
        307878, _SEE_PAGE, _TRANSMORPH, published='Dice 0.580',
        note='behind a link of its page; the IXI volumes that it offers',
    ),
    Entry(
        'c2fvit_oasis', 'C2FViT', 'c2fvit', 'c2fvit_oasis', 'OASIS-1', _OASIS, 12030208, _SEE_PAGE, 'cwmok/C2FViT',
        note='an affine; behind a link of its page',
    ),
    Entry(
        'eoir_lumir', 'EOIR', 'eoir', 'eoir_lumir', 'LUMIR', _LUMIR, 909232, _SEE_PAGE, 'XiangChen1994/EOIR',
        note='behind a link of its page',
    ),
    Entry(
        'unigradicon', 'uniGradICON', 'unigradicon', 'unigradicon_oasis', 'CT and MR of lungs, knees, brains, abdomens',
        _ANY, 70680916, _SEE_PAGE, 'uncbiag/uniGradICON', note='a file (.trch) of its releases',
    ),
    Entry(
        'sitreg_lumir', 'SITReg', 'sitreg', 'sitreg_lumir', 'LUMIR', _LUMIR, 15076110, _SEE_PAGE, 'honkamj/SITReg',
        published='LUMIR validation: Dice 0.7742', note='behind a link of its page',
    ),
)  # fmt: skip


def known() -> dict[str, Entry]:
    """All entries by name."""
    return {entry.name: entry for entry in PUBLISHED}
