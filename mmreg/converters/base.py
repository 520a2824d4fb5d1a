"""Published checkpoint -> ours: a table of key patterns per family, applied here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import MISFIT, CheckpointError, listed
from mmreg.registry import BACKBONES, FLOW_HEADS, INTEGRATORS, LOSSES, MODELS, REGISTRARS, TEXT_EMBEDDINGS
from mmreg.utils.admit import admit, largest_number
from mmreg.utils.checkpoint import check_architecture

from .containers import weights_in

_PARTS = (REGISTRARS, BACKBONES, FLOW_HEADS, INTEGRATORS, LOSSES, MODELS, TEXT_EMBEDDINGS)
#: No size of a network comes near it.
_LARGEST = 1e6


@dataclass(frozen=True)
class Family:
    """How one family of published checkpoints becomes ours.

    Attributes:
        name: What ``tools/convert_checkpoint.py`` calls it.
        rules: Pairs (pattern of the whole published key, replacement); the first match wins.
        ignore: Patterns of published keys that carry nothing of ours (coordinate grids, unused layers), or a function
            that tells them from the published state dict, where what is used depends on the network.
        describe: Model config of the converted state dict, read from its shapes; None where it cannot be told.
        configure: Changes that model config by the constructor arguments that some files keep under ``config``.
        arguments: Constructor arguments that entries without weights (index buffers) tell; those of the file's own
            ``config`` have precedence. :attr:`configure` is given both.
        untold: Keys of the described model that no weights tell, such as ``'integrator'``: what :attr:`describe` says
            there is a guess, unless the file holds its constructor arguments.
        not_here: Says of a published state dict why it cannot be run, where it is one of the same authors' other
            networks; None: it is not.
        note: One line for the help text.
    """

    name: str
    rules: Sequence[tuple[str, str]]
    ignore: Sequence[str] | Callable[[Mapping[str, Any]], Sequence[str]] = ()
    describe: Callable[[Mapping[str, Tensor]], dict[str, Any]] | None = None
    configure: Callable[[dict[str, Any], Mapping[str, Any]], None] | None = None
    arguments: Callable[[Mapping[str, Tensor]], Mapping[str, Any]] | None = None
    untold: Sequence[str] = ()
    not_here: Callable[[Mapping[str, Any]], str | None] | None = None
    note: str = ''

    def convert(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our state dict of a published one: other names, now and then another shape, the same numbers.

        Raises:
            CheckpointError: keys that no rule knows; they are named. Or another network, with the reason.
        """
        reason = self.not_here(published) if self.not_here is not None else None
        if reason is not None:
            raise CheckpointError(reason)
        result: dict[str, Tensor] = {}
        unknown: list[str] = []
        ignore = self._patterns(published)
        for key, value in published.items():
            key = key.removeprefix('module.')
            if _matches(key, ignore):
                continue
            ours = self._ours(key)
            if ours is None:
                unknown.append(key)
            else:
                result[ours] = value
        if unknown or not result:
            shown = listed(unknown)
            raise CheckpointError(
                f'{len(unknown)} of {len(published)} keys do not belong to a checkpoint of the family {self.name!r}: '
                f'{shown or "none found"}; expected keys such as {self.rules[0][0]!r}.'
            )
        return result

    def unused(self, published: Mapping[str, Any]) -> list[str]:
        """The keys of a published state dict that carry nothing of ours."""
        ignore = self._patterns(published)
        return [key for key in published if _matches(key.removeprefix('module.'), ignore)]

    def model(
        self, weights: Mapping[str, Tensor], content: Any = None, source: str = 'the checkpoint'
    ) -> dict[str, Any]:
        """Model config of a converted state dict; empty where the shapes of its entries do not tell.

        Args:
            weights: What :meth:`convert` returned.
            content: The whole published file, for the constructor arguments that it may hold under ``config``.
            source: Its name, for errors.

        Raises:
            CheckpointError: weights of the described model are missing or have another shape.
        """
        if self.describe is None:
            return {}
        try:
            arguments = self._arguments(content)
            model = self.describe(weights)
            if self.configure is not None and arguments is not None:
                self.configure(model, arguments)
            model = admit(model, f'{source}: config', _PARTS, CheckpointError)
        except CheckpointError as error:
            raise error if source in str(error) else CheckpointError(f'{source}: {error}') from None
        except MISFIT as error:
            raise CheckpointError(
                f'{source} is no whole checkpoint of the family {self.name!r}: found {error} missing or misshapen, '
                'expected all weights.'
            ) from error
        built = _built(model, source)
        check_architecture(built, dict(weights), source)
        return model

    def guessed(self, content: Any) -> list[str]:
        """Those of :attr:`untold` that the content of a file does not tell either."""
        return list(self.untold) if self.configure is None or self._arguments(content) is None else []

    def _patterns(self, published: Mapping[str, Any]) -> Sequence[str]:
        if not callable(self.ignore):
            return self.ignore
        return self.ignore({key.removeprefix('module.'): value for key, value in published.items()})

    def _arguments(self, content: Any) -> Mapping[str, Any] | None:
        """Constructor arguments that the file tells, None where it tells none."""
        found = content.get('config') if isinstance(content, Mapping) else None
        found = found if isinstance(found, Mapping) else None
        if self.arguments is None:
            return found
        told = self.arguments({key.removeprefix('module.'): value for key, value in weights_in(content).items()})
        return {**told, **(found or {})}

    def _ours(self, key: str) -> str | None:
        for pattern, replacement in self.rules:
            if re.fullmatch(pattern, key):
                return re.sub(pattern, replacement, key)
        return None


def _built(model: Mapping[str, Any], source: str) -> torch.nn.Module:
    """The described model without memory for weights."""
    if largest_number(model) > _LARGEST:
        raise CheckpointError(f'{source}: its config asks for sizes above {_LARGEST}, expected those of a network.')
    try:
        with torch.device('meta'):
            return REGISTRARS.build({'type': 'Registrar', **model})
    except (TypeError, RuntimeError, KeyError) as error:
        reason = ' '.join(str(error.args[0] if error.args else error).split())
        raise CheckpointError(f'{source} describes a model that cannot be built ({reason}).') from error


def _matches(key: str, patterns: Sequence[str]) -> bool:
    return any(re.fullmatch(pattern, key) for pattern in patterns)
