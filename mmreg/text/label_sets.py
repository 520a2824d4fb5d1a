"""The label sets that come with the project."""

from __future__ import annotations

from mmreg.registry import LABEL_SETS

from .label_set import LabelSet

BRAIN_MR = 'A magnetic resonance imaging of a {name} in human brain.'
ABDOMEN_CT = 'A computerized tomography of a {name} in human abdomen.'
HEART_MR = 'A cine magnetic resonance imaging of a {name} in human heart.'

#: OASIS of Learn2Reg 2021: (name, FreeSurfer id) in label order.
_OASIS = (
    ('Left-Cerebral-White-Matter', 2), ('Left-Cerebral-Cortex', 3), ('Left-Lateral-Ventricle', 4),
    ('Left-Inf-Lat-Ventricle', 5), ('Left-Cerebellum-White-Matter', 7), ('Left-Cerebellum-Cortex', 8),
    ('Left-Thalamus', 10), ('Left-Caudate', 11), ('Left-Putamen', 12), ('Left-Pallidum', 13),
    ('3rd-Ventricle', 14), ('4th-Ventricle', 15), ('Brain-Stem', 16), ('Left-Hippocampus', 17),
    ('Left-Amygdala', 18), ('Left-Accumbens', 26), ('Left-Ventral-DC', 28), ('Left-Vessel', 30),
    ('Left-Choroid-Plexus', 31), ('Right-Cerebral-White-Matter', 41), ('Right-Cerebral-Cortex', 42),
    ('Right-Lateral-Ventricle', 43), ('Right-Inf-Lat-Ventricle', 44), ('Right-Cerebellum-White-Matter', 46),
    ('Right-Cerebellum-Cortex', 47), ('Right-Thalamus', 49), ('Right-Caudate', 50), ('Right-Putamen', 51),
    ('Right-Pallidum', 52), ('Right-Hippocampus', 53), ('Right-Amygdala', 54), ('Right-Accumbens', 58),
    ('Right-Ventral-DC', 60), ('Right-Vessel', 62), ('Right-Choroid-Plexus', 63),
)  # fmt: skip

#: Ids that SynthSeg does not give: vessels and choroid plexus. Those labels stay empty.
_NOT_IN_SYNTHSEG = (30, 31, 62, 63)

#: Abdomen CT of Learn2Reg: (name, TotalSegmentator class, its id in the task `total` of version 2).
_ABDOMEN = (
    ('spleen', 'spleen', 1),
    ('right kidney', 'kidney_right', 2),
    ('left kidney', 'kidney_left', 3),
    ('gall bladder', 'gallbladder', 4),
    ('esophagus', 'esophagus', 15),
    ('liver', 'liver', 5),
    ('stomach', 'stomach', 6),
    ('aorta', 'aorta', 52),
    ('inferior vena cava', 'inferior_vena_cava', 63),
    ('portal and splenic vein', 'portal_vein_and_splenic_vein', 64),
    ('pancreas', 'pancreas', 7),
    ('left adrenal gland', 'adrenal_gland_left', 9),
    ('right adrenal gland', 'adrenal_gland_right', 8),
)


@LABEL_SETS.register_module(name='oasis35')
def oasis35() -> LabelSet:
    """Brain structures of OASIS (Learn2Reg 2021 task 3), with FreeSurfer and SynthSeg ids."""
    freesurfer: dict[int | str, int] = {number: value for value, (_, number) in enumerate(_OASIS, start=1)}
    synthseg: dict[int | str, int] = {
        number: value for number, value in freesurfer.items() if number not in _NOT_IN_SYNTHSEG
    }
    labels = {value: name for value, (name, _) in enumerate(_OASIS, start=1)}
    return LabelSet.of('oasis35', labels, BRAIN_MR, {'freesurfer': freesurfer, 'synthseg': synthseg})


@LABEL_SETS.register_module(name='abdomenct13')
def abdomenct13() -> LabelSet:
    """Abdominal organs of Learn2Reg's CT-CT task, left adrenal gland before the right one."""
    return _abdomen('abdomenct13', _ABDOMEN)


@LABEL_SETS.register_module(name='btcv13')
def btcv13() -> LabelSet:
    """The same organs in the numbering of BTCV, right adrenal gland before the left one."""
    return _abdomen('btcv13', (*_ABDOMEN[:11], _ABDOMEN[12], _ABDOMEN[11]))


def _abdomen(name: str, rows: tuple[tuple[str, str, int], ...]) -> LabelSet:
    totalsegmentator: dict[int | str, int] = {}
    for value, (_, organ, number) in enumerate(rows, start=1):
        totalsegmentator |= {organ: value, number: value}
    labels = {value: row[0] for value, row in enumerate(rows, start=1)}
    return LabelSet.of(name, labels, ABDOMEN_CT, {'totalsegmentator': totalsegmentator})


@LABEL_SETS.register_module(name='acdc3')
def acdc3() -> LabelSet:
    """Heart of ACDC."""
    labels = {1: 'right ventricle', 2: 'left ventricular myocardium', 3: 'left ventricle blood pool'}
    return LabelSet.of('acdc3', labels, HEART_MR)


@LABEL_SETS.register_module(name='hippocampus2')
def hippocampus2() -> LabelSet:
    """Hippocampus of Learn2Reg and the Decathlon."""
    return LabelSet.of('hippocampus2', {1: 'anterior hippocampus', 2: 'posterior hippocampus'}, BRAIN_MR)


@LABEL_SETS.register_module(name='demo4')
def demo4() -> LabelSet:
    """Tissues of the simulated brains."""
    names = ('inner fluid', 'outer grey matter', 'white matter', 'inner grey matter')
    return LabelSet.of('demo4', dict(enumerate(names, start=1)), BRAIN_MR)
