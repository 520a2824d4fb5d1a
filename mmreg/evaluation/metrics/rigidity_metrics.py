"""Rigidity of labelled bodies as an MMEngine metric."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log

from mmreg.errors import ConfigError
from mmreg.evaluation.functional.rigidity import body_rigidity, volume_change
from mmreg.models.losses import RigidDice
from mmreg.registry import METRICS

from .base import CaseMetric, Scores
from .case import Case

#: Score -> attribute of :class:`~mmreg.evaluation.functional.rigidity.BodyRigidity`.
_SCORES = {
    'rigid_residual': 'residual_mm',
    'rigid_rotation': 'rotation_deg',
    'rigid_translation': 'translation_mm',
    'orthonormality': 'orthonormality',
    'properness': 'properness',
}
FRAMES = ('warped', 'fixed')


@METRICS.register_module()
class RigidityMetric(CaseMetric):
    """How rigidly each labelled body moves.

    Keys: ``rigid_residual`` (mm, root mean square distance from the body's best rigid motion), ``rigid_rotation``
    (degrees) and ``rigid_translation`` (mm) of that motion, ``orthonormality``, ``properness`` (means inside),
    ``volume_change`` (percent) and, where asked for, ``rigid_dice`` (the loss, 0 is rigid). A pair without bodies has
    no value; that is said once.

    Args:
        bodies: ``'warped'``: inside the warped labels of the moving image, what the rigidity losses look at;
            ``'fixed'``: inside the labels of the fixed image.
        min_voxels: Bodies with fewer voxels are left out.
        rigid_dice: Also measure it; takes seconds per pair.
        kwargs: See :class:`CaseMetric`.
    """

    name = 'rigidity'
    greater = ('properness',)

    def __init__(self, bodies: str = 'warped', min_voxels: int = 1, rigid_dice: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if bodies not in FRAMES:
            raise ConfigError(f'RigidityMetric: bodies={bodies!r} is unknown, expected one of {FRAMES}.')
        self.bodies, self.min_voxels = bodies, min_voxels
        self.rigid_dice = RigidDice() if rigid_dice else None
        self._said = False

    def describe(self) -> str:
        """Inside which labels."""
        return f'inside the {self.bodies} labels, bodies of {self.min_voxels} voxels and more'

    def measure(self, case: Case) -> Scores:
        """Motion of every body, and what is left of the field besides."""
        key = 'moving_labels' if self.bodies == 'warped' else 'fixed_labels'
        if not case.has(key):
            self._say(f'{case.case_id} carries no {key}')
            return {}
        labels = case.warped_labels('nearest') if self.bodies == 'warped' else case.given(key)
        displacement = case.displacement
        found = body_rigidity(displacement, labels.to(displacement.device), case.spacing)
        found = [body for body in found if body.voxels >= self.min_voxels]
        if not found:
            self._say(f'{case.case_id} has no body of {self.min_voxels} voxels or more')
            return {}
        scores: Scores = {
            score: {str(body.label): getattr(body, name) for body in found} for score, name in _SCORES.items()
        }
        if case.has('moving_labels'):
            moving = case.given('moving_labels')
            names = [body.label for body in found]
            change = volume_change(case.warped_labels('nearest'), moving, names)
            scores['volume_change'] = {str(name): value for name, value in zip(names, change)}
            if self.rigid_dice is not None:
                with torch.no_grad():
                    loss = self.rigid_dice(displacement[None], labels=moving[None].to(displacement.device))
                scores['rigid_dice'] = {'': float(loss)}
        return scores

    def _say(self, reason: str) -> None:
        if not self._said:
            print_log(f'{self.name}: {reason}, so its rigidity is not measured.', logger='current')
            self._said = True
