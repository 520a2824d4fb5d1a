"""Registration by the networks that come with mmreg: one forward pass, chosen by what is in the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mmreg.errors import DataError
from mmreg.io.plain import plain
from mmreg.zoo.own import OwnWeights, own_weights

from .inferencer import RegistrationInferencer
from .inputs import Pair
from .method import Method
from .options import RunOptions
from .pipeline import Pipeline
from .planes import are_slices
from .presets.choice import PresetChoice, choose_preset
from .presets.preset import presets_digest


class FastRegistration(Pipeline):
    """Registers pairs by one of mmreg's own networks, alone or followed by some iterations of an optimisation.

    Args:
        device: ``'cpu'``, ``'cuda'``, ...; the GPU where there is one by default.
        refine: Iterations of an optimisation that starts from the network's displacement; 0: none.
        preset: Whose losses refine.
        cfg_options: Changes of the network's config keys.
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.
        seed: Of the affine search and of the refinement.
        use_landmarks: ``'start'``, ``'loss'`` (in the refinement) or both: landmarks of both images steer.

    Example:
        >>> register = FastRegistration(device='cpu')
        >>> register('fixed.nii.gz', 'moving.nii.gz', affine='auto', out_dir='out')  # doctest: +SKIP
    """

    #: The networks see images of one channel.
    channels = 1

    def __init__(
        self,
        device: str | torch.device | None = None,
        refine: int = 0,
        preset: str | Path | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        label_sets: str = 'equal',
        labels: Sequence[int] | None = None,
        seed: int = 0,
        use_landmarks: Sequence[str] | None = None,
    ):
        super().__init__(
            RunOptions(
                fast=True, device=device, refine=refine, preset=preset, cfg_options=cfg_options,
                label_sets=label_sets, labels=labels, seed=seed, use_landmarks=use_landmarks,
            )
        )  # fmt: skip
        self._networks: dict[str, RegistrationInferencer] = {}

    def method(self, pair: Pair) -> Method:
        """The method of the network that suits the pair, with the reasons for it.

        Raises:
            DataError: no network that comes with mmreg suits.
        """
        choice = choose_preset(pair)
        weights = choose_network(pair, choice)
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
        return {'fast': own, 'presets': presets_digest(), **plain({'refine': self.options.refine})}

    def _network(self, weights: OwnWeights) -> RegistrationInferencer:
        if weights.name not in self._networks:
            told = self.options
            self._networks[weights.name] = RegistrationInferencer(
                weights.name, device=told.device, cfg_options=told.cfg_options, label_sets=told.label_sets,
                labels=told.labels, refine=told.refine, preset=told.preset, seed=told.seed,
                use_landmarks=told.use_landmarks,
            )  # fmt: skip
        return self._networks[weights.name]


def choose_network(pair: Pair, choice: PresetChoice) -> OwnWeights:
    """The network of mmreg's own that stands for the preset that was chosen for a pair.

    Raises:
        DataError: there is none.
    """
    known = own_weights().values()
    dimensions = 2 if are_slices(pair) else pair.fixed.geometry.ndim
    if dimensions == 3:
        for weights in known:
            if choice.name in weights.presets:
                return weights
        for weights in known:
            if not weights.presets:
                return weights
    if not known:
        raise DataError(f'{pair.fixed.name}: --fast was asked for, and no network comes with this mmreg; leave it out.')
    served = ', '.join(name for weights in known for name in weights.presets) or 'no preset'
    raise DataError(
        f'{pair.fixed.name}: no network that comes with mmreg suits these {dimensions}-D images (preset '
        f'{choice.name}: {"; ".join(choice.reasons)}), expected images of the presets {served} '
        'with --fast; leave it out.'
    )
