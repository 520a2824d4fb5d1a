"""From a published file to one of ours: which family it belongs to, what it holds, and where the result goes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import MISFIT, CheckpointError
from mmreg.utils.atomic import replacing
from mmreg.version import __version__

from . import FAMILIES
from .base import Family
from .containers import extract_weights, unwrapped
from .keras_files import read_published

#: Asks :func:`convert_file` to find the family itself.
AUTO = 'auto'


def convert_file(family: str, source: str | Path, target: str | Path, **meta: Any) -> tuple[dict[str, Any], list[str]]:
    """Convert the checkpoint ``source`` and write it to ``target`` (``.pth``, or ``.safetensors`` for weights alone).

    Args:
        family: Name of a family, or ``'auto'``.
        source: The published file; it is only read.
        target: Our checkpoint.
        meta: Goes into the checkpoint's ``meta`` besides family, model, version and the name of the source.

    Returns:
        The model config that the weights tell (empty where they tell nothing), and the published keys that carry
        nothing of ours and were left out.

    Raises:
        CheckpointError: the file cannot be read, belongs to another family or to several, lacks weights, or holds
            values that are no numbers; ``target`` is ``source`` or no place for a file.
    """
    source, target = Path(source).expanduser(), Path(target).expanduser()
    _check_target(source, target)
    content = read_published(source)
    published = extract_weights(content, str(source))
    chosen = find_family(published, source) if family == AUTO else family_named(family)
    published = without_wrappers(chosen, published)
    content = {'state_dict': published, 'config': content.get('config')}
    weights = {key: value.contiguous() for key, value in convert_weights(chosen, published, source).items()}
    _check_finite(weights, source)
    model = chosen.model(weights, content, str(source))
    described = {
        'family': chosen.name, 'model': model, 'untold': chosen.guessed(content), 'mmreg_version': __version__,
        'source': source.name, **meta,
    }  # fmt: skip
    with replacing(target) as temporary:
        if target.suffix == '.safetensors':
            _save_safetensors(weights, temporary)
        else:
            torch.save({'state_dict': weights, 'meta': described}, temporary)
    return model, chosen.unused(published)


def found_family(family: str, source: str | Path) -> str:
    """The name of the family that is meant: ``'auto'`` asks the file ``source``, other spellings are understood."""
    if family != AUTO:
        return family_named(family).name
    return find_family(extract_weights(read_published(source), str(source)), source).name


def without_wrappers(family: Family, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``published`` with the keys that the family knows: without what wrappers put before every one of them."""
    for state in unwrapped(published):
        try:
            family.convert(state)
        except (RuntimeError, *MISFIT):
            continue
        return state
    return dict(published)


def convert_weights(family: Family, published: Mapping[str, Tensor], source: str | Path) -> dict[str, Tensor]:
    """Our state dict of a published one.

    Raises:
        CheckpointError: keys or values that the family does not have.
    """
    try:
        return family.convert(published)
    except (RuntimeError, *MISFIT) as error:
        if isinstance(error, CheckpointError):
            raise _with_hint(family, published, source, error) from error
        raise CheckpointError(
            f'{source} is no whole checkpoint of the family {family.name!r} ({type(error).__name__}: {error}), '
            'expected its weights.'
        ) from error


def _with_hint(
    family: Family, published: Mapping[str, Tensor], source: str | Path, error: CheckpointError
) -> CheckpointError:
    fitting = [name for name in fitting_families(published) if name != family.name]
    hint = f' Its keys are those of the family {" or ".join(fitting)}.' if fitting else ''
    return CheckpointError(f'{source}: {error}{hint}')


def family_named(name: str) -> Family:
    """The family ``name``, also in another spelling (``SYMNet``, ``lapirn-disp``).

    Raises:
        CheckpointError: there is none; the nearest are named.
    """
    plain = {re.sub(r'[^a-z0-9]', '', known): known for known in FAMILIES}
    asked = re.sub(r'[^a-z0-9]', '', name.lower())
    if asked in plain:
        return FAMILIES[plain[asked]]
    near = [plain[found] for found in difflib.get_close_matches(asked, list(plain), n=3, cutoff=0.5)]
    hint = f'did you mean {" or ".join(near)}?' if near else f'expected {AUTO} or one of {", ".join(sorted(FAMILIES))}.'
    raise CheckpointError(f'there is no family {name!r} of published checkpoints; {hint}')


def find_family(published: Mapping[str, Tensor], source: str | Path) -> Family:
    """The one family whose converter knows every key of a published state dict, of whatever shapes.

    Raises:
        CheckpointError: none does, or several do.
    """
    fitting = fitting_families(published)
    if len(fitting) == 1:
        return FAMILIES[fitting[0]]
    shown = ', '.join(list(published)[:4])
    if fitting:
        raise CheckpointError(f'{source} may belong to the families {", ".join(fitting)}: name the right one.')
    for family in FAMILIES.values():
        reason = family.not_here(published) if family.not_here is not None else None
        if reason is not None:
            raise CheckpointError(f'{source}: {reason}')
    raise CheckpointError(
        f'{source} belongs to no family that is known here: it has {len(published)} weights such as {shown}; expected '
        f'a published checkpoint of one of {", ".join(sorted(FAMILIES))}.'
    )


def fitting_families(published: Mapping[str, Tensor]) -> list[str]:
    """Families that convert ``published`` and describe a model that it fills."""
    found = []
    for name, family in sorted(FAMILIES.items()):
        try:
            family.model(family.convert(without_wrappers(family, published)))
        except (RuntimeError, *MISFIT):
            continue
        found.append(name)
    return found


def _check_target(source: Path, target: Path) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise CheckpointError(f'{target} is the published file itself, expected another name for the result.')
    if target.is_dir():
        raise CheckpointError(f'{target} is a folder, expected the name of a file such as {target / "model.pth"}.')


def _check_finite(weights: Mapping[str, Tensor], source: str | Path) -> None:
    bad = [key for key, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise CheckpointError(
            f'{source}: {len(bad)} weights hold values that are not finite (first {bad[0]}), expected numbers.'
        )


def _save_safetensors(weights: dict[str, Tensor], target: Path) -> None:
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise CheckpointError(
            f'{target.name} needs the package safetensors: pip install "mmreg[safetensors]".'
        ) from error
    save_file(weights, str(target))
