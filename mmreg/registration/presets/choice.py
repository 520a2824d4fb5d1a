"""Which preset suits a pair, told from what is in its files, and why, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mmreg.registration.inputs import Pair
from mmreg.registration.planes import is_slice

from .contrast import Contrast, compare
from .looks import Look, look_at
from .preset import FALLBACK, FALLBACK_MULTIMODAL, PLANAR, PLANAR_MULTIMODAL, find_presets

#: Words in the DICOM tag of the body part, and what they stand for.
BODY_PARTS = {
    'brain': ('BRAIN', 'HEAD', 'SKULL'),
    'lung': ('CHEST', 'LUNG', 'THORAX'),
    'abdomen': ('ABDOMEN', 'LIVER', 'PELVIS', 'KIDNEY', 'PANCREAS'),
    'heart': ('HEART', 'CARDIAC', 'CARD'),
    'spine': ('SPINE', 'CORD'),
}


#: More lung than this in the body makes a chest; scans of the abdomen show the lungs' lower ends.
_LUNG = 0.08
#: A trunk is as wide, mm, and holds at most so much bone; a head is narrower and half of it is skull.
_TRUNK, _BONE = 220.0, 0.12
#: Field of view of a spine, mm: at most so wide, at least so long, and so many times longer than wide.
_SPINE_WIDE, _SPINE_LONG, _SPINE_RATIO = 110.0, 50.0, 1.3


@dataclass(frozen=True)
class PresetChoice:
    """A preset's name and the sentences that speak for it."""

    name: str
    reasons: tuple[str, ...]


class Evidence:
    """What is known of a pair; the test of the contrast is made only where a rule asks for it."""

    def __init__(self, fixed: Look, moving: Look):
        self.fixed, self.moving = fixed, moving

    @cached_property
    def contrast(self) -> Contrast:
        """How the intensities of both images go together."""
        return compare(self.fixed, self.moving)

    @cached_property
    def part(self) -> str:
        """Body part by the DICOM tags, '' where they do not tell."""
        for look in (self.fixed, self.moving):
            text = ' '.join(look.tags.get(key, '') for key in ('body part', 'description', 'protocol'))
            # A spine is told first: its part is written CSPINE or T SPINE beside words such as CHEST.
            for part in ('spine', 'heart', 'brain', 'lung', 'abdomen'):
                if any(word in text for word in BODY_PARTS[part]):
                    return part
        return ''

    @property
    def both_ct(self) -> bool:
        """Whether both are CT."""
        return self.fixed.is_ct and self.moving.is_ct

    @property
    def one_ct(self) -> bool:
        """Whether exactly one is CT."""
        return self.fixed.is_ct != self.moving.is_ct


#: What a rule says: the preset and the reasons, or None where it does not apply.
Rule = Callable[[Evidence], tuple[str, list[str]] | None]


def choose_preset(pair: Pair) -> PresetChoice:
    """The preset for a pair: the first rule that applies names it.

    A preset that this installation lacks is replaced by the general one.
    """
    evidence = Evidence(look_at(pair.fixed), look_at(pair.moving))
    name, reasons = next(found for rule in RULES if (found := rule(evidence)) is not None)
    if name not in find_presets():
        reasons, name = [*reasons, f'there is no preset {name} here'], FALLBACK
    return PresetChoice(name, tuple(reasons))


def _flat(evidence: Evidence) -> tuple[str, list[str]] | None:
    grids = evidence.fixed.geometry, evidence.moving.geometry
    if grids[0].ndim == 3 and not all(map(is_slice, grids)):
        return None
    name, reasons = _general(evidence, 'the images are 2-D' if grids[0].ndim == 2 else 'the images are single slices')
    return {FALLBACK: PLANAR, FALLBACK_MULTIMODAL: PLANAR_MULTIMODAL}[name], reasons


def _ct(evidence: Evidence) -> tuple[str, list[str]] | None:
    if not evidence.both_ct:
        return None
    how = 'by their DICOM tags' if evidence.fixed.tags.get('modality') else 'their values are Hounsfield units'
    lung = (evidence.fixed.lung_share + evidence.moving.lung_share) / 2
    words = [f'both images are CT ({how})', f'{100 * lung:.0f} % of the body is lung']
    if evidence.part == 'spine':
        return 'spine', [words[0], _tagged('spine')]
    if lung > _LUNG or evidence.part == 'lung':
        return 'lung_ct', words
    if evidence.part == 'brain':
        return FALLBACK, [words[0], _tagged('brain')]
    if evidence.part == 'abdomen':
        return 'abdomen_ct', [words[0], _tagged('abdomen')]
    width = min(look.body_width for look in (evidence.fixed, evidence.moving))
    bone = max(look.bone_share for look in (evidence.fixed, evidence.moving))
    if width >= _TRUNK and bone <= _BONE:
        return 'abdomen_ct', [*words, f'the body is as wide as a trunk ({width:.0f} mm)']
    return FALLBACK, [*words, f'the body ({width:.0f} mm wide, {100 * bone:.0f} % bone) is not seen to be a trunk']


def _spine(evidence: Evidence) -> tuple[str, list[str]] | None:
    if evidence.part == 'spine':
        return 'spine', [_tagged('spine')]
    look = evidence.fixed
    wide = look.extents['LR']
    sagittal = look.slices is None or (look.slice_axis == 'LR' and look.slices[2] < 25)
    long = look.extents['SI']
    shaped = wide <= _SPINE_WIDE and long >= max(_SPINE_LONG, _SPINE_RATIO * wide)
    if evidence.part or not shaped or not sagittal or _is_dark(look, 0.7):
        return None
    return 'spine', [
        f'the field of view is narrow from left to right ({wide:.0f} mm) and longer from head to foot '
        f'({long:.0f} mm), as of a spine',
        'tissue reaches the border of the image',
    ]


def _heart(evidence: Evidence) -> tuple[str, list[str]] | None:
    look = evidence.fixed
    if look.slices is None or evidence.part not in ('', 'heart') or evidence.one_ct:
        return None
    count, thickness, _ = look.slices
    length = count * thickness
    stack = thickness >= 4 and count <= 24 and length <= 160
    if evidence.part != 'heart' and (not stack or _is_dark(look, 0.5)):
        return None
    words = [f'the image is a stack of {count} slices of {thickness:.3g} mm, {length:.0f} mm together']
    words.append(_tagged('heart') if evidence.part == 'heart' else 'tissue reaches the border of the slices')
    if not evidence.contrast.same:
        return _general(evidence, *words)
    return 'cardiac_cine', [*words, str(evidence.contrast)]


def _brain(evidence: Evidence) -> tuple[str, list[str]] | None:
    look = evidence.fixed
    sizes = look.extents.values()
    head = min(sizes) >= 100 and max(sizes) <= 330 and _is_dark(look, 0.6)
    if evidence.part not in ('', 'brain') or not (head or evidence.part == 'brain'):
        return None
    words = [
        _tagged('brain')
        if evidence.part == 'brain'
        else f'the field of view ({" x ".join(f"{size:.0f}" for size in sizes)} mm) is that of a head, dark all around'
    ]
    if evidence.one_ct:
        return 'brain_multimodal', [*words, 'one image is CT, the other is not']
    name = 'brain_t1' if evidence.contrast.same else 'brain_multimodal'
    return name, [*words, str(evidence.contrast)]


def _anything(evidence: Evidence) -> tuple[str, list[str]]:
    return _general(evidence, 'nothing in the files speaks for a particular organ')


def _general(evidence: Evidence, *words: str) -> tuple[str, list[str]]:
    """The preset that knows no organ, by the contrast."""
    if evidence.one_ct:
        return FALLBACK_MULTIMODAL, [*words, 'one image is CT, the other is not']
    return FALLBACK if evidence.contrast.same else FALLBACK_MULTIMODAL, [*words, str(evidence.contrast)]


RULES: Sequence[Rule] = (_flat, _ct, _spine, _heart, _brain, _anything)


def _is_dark(look: Look, share: float) -> bool:
    """Whether at least this share of the faces of the box is dark."""
    dark, faces = look.dark_faces
    return dark >= share * faces


def _tagged(part: str) -> str:
    return f'the DICOM tags say {part}'
