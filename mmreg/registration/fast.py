"""A first answer soon: a network that comes with mmreg where one suits the images, else a preset's shorter way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mmreg.errors import DataError
from mmreg.io.plain import plain
from mmreg.zoo.own import OwnWeights, own_weights

from .by_preset import PresetRegistration, smoothed
from .inferencer import RegistrationInferencer
from .inputs import Pair
from .method import Method
from .options import RunOptions
from .pipeline import Pipeline
from .planes import are_slices
from .presets.choice import PresetChoice, choose_preset

_SHORTER = '--fast takes fewer and coarser iterations of it'


class FastRegistration(Pipeline):
    """Registers pairs by one of mmreg's own networks, or by a preset with fewer and coarser iterations.

    The network is taken where one comes with mmreg that stands for the preset the images would have, unless a preset, a
    smoothness, or landmarks that pull are asked for, which networks do not know.

    Args:
        device: ``'cpu'``, ``'cuda'``, ...; the GPU where there is one by default.
        refine: Iterations of an optimisation that starts from the network's displacement; 0: none. A network is then
            necessary.
        preset: With ``refine``: whose losses refine. Else: the preset that is shortened.
        cfg_options: Changes of config keys, of the network where one is taken, else of the preset.
        smoothness: Factor on the lengths over which the preset smooths.
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.
        seed: Of the affine search and of the refinement.
        use_landmarks: ``'start'``, ``'loss'`` (in the refinement) or both: landmarks of both images steer.

    Example:
        >>> register = FastRegistration(device='cpu')
        >>> register('fixed.nii.gz', 'moving.nii.gz', affine='auto', out_dir='out')  # doctest: +SKIP
    """

    def __init__(
        self,
        device: str | torch.device | None = None,
        refine: int = 0,
        preset: str | Path | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        smoothness: float = 1.0,
        label_sets: str = 'equal',
        labels: Sequence[int] | None = None,
        seed: int = 0,
        use_landmarks: Sequence[str] | None = None,
    ):
        super().__init__(
            RunOptions(
                fast=True, device=device, refine=refine, preset=preset, cfg_options=cfg_options,
                smoothness=smoothness, label_sets=label_sets, labels=labels, seed=seed, use_landmarks=use_landmarks,
            )
        )  # fmt: skip
        self._networks: dict[str, RegistrationInferencer] = {}
        shorter = {**(smoothed(cfg_options, smoothness) or {}), 'optimisation.quick': True}
        self._preset = PresetRegistration(
            None if refine else preset, device, shorter, label_sets, labels, seed, use_landmarks=use_landmarks
        )

    def method(self, pair: Pair) -> Method:
        """The method of the network that suits the pair, or of the shortened preset, with the reasons for it.

        Raises:
            DataError: iterations after a network are wanted, and no network that comes with mmreg suits.
        """
        told = self.options
        if not told.refine and (told.preset is not None or told.smoothness != 1 or told.steers('loss')):
            return self._preset.method(pair)
        choice = choose_preset(pair)
        weights = find_network(pair, choice)
        if weights is not None:
            return self._network_method(pair, weights, choice)
        if told.refine:
            raise DataError(
                f'{pair.fixed.name}: iterations after a network were asked for (refine={told.refine}), and no network '
                f'that comes with mmreg suits (preset {choice.name}: {"; ".join(choice.reasons)}); leave out refine.'
            )
        return self._preset.chosen_method(pair, replace(choice, reasons=(*choice.reasons, _SHORTER)))

    def _network_method(self, pair: Pair, weights: OwnWeights, choice: PresetChoice) -> Method:
        found = self._network(weights).method(pair)
        described = {
            **found.preset,
            'name': weights.name,
            'file': str(weights.file),
            'summary': weights.summary,
            'chosen': 'from the images',
            'reasons': [*choice.reasons, f'--fast takes {weights.name} where the preset would be {choice.name}'],
        }
        return replace(found, preset=described)

    def settings(self) -> dict[str, Any]:
        """What the result's provenance says of the method."""
        own = {name: one.training for name, one in own_weights().items()}
        return {'fast': own, **self._preset.settings(), **plain({'refine': self.options.refine})}

    def _network(self, weights: OwnWeights) -> RegistrationInferencer:
        if weights.name not in self._networks:
            told = self.options
            self._networks[weights.name] = RegistrationInferencer(
                weights.name, device=told.device, cfg_options=told.cfg_options, label_sets=told.label_sets,
                labels=told.labels, refine=told.refine, preset=told.preset, seed=told.seed,
                use_landmarks=told.use_landmarks,
            )  # fmt: skip
        return self._networks[weights.name]


def find_network(pair: Pair, choice: PresetChoice) -> OwnWeights | None:
    """The network of mmreg's own that stands for the preset that was chosen for a pair; None: there is none."""
    known = own_weights().values()
    dimensions = 2 if are_slices(pair) else pair.fixed.geometry.ndim
    if dimensions == 3 and pair.fixed.volume.channels == 1:
        for weights in known:
            if choice.name in weights.presets:
                return weights
        for weights in known:
            if not weights.presets:
                return weights
    return None
