"""How the editions of a challenge's scorer differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .config import EvaluationConfig


@dataclass(frozen=True)
class Edition:
    """One edition of the published evaluation.

    Attributes:
        version: What its result file says.
        foreground: The image in whose foreground the non-diffeomorphic volume is measured.
        quantiles: Quantile under the key ``30`` of a measure, where it is not 0.3.
        groups: Group of pairs (:attr:`EvaluationConfig.group`) -> name of its own mean Dice.
    """

    version: str = '2.0'
    foreground: str = 'moving'
    quantiles: dict[str, float] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


#: Learn2Reg up to 2024, LUMIR 2024 among it.
PUBLISHED = Edition()
#: LUMIR 2025: in-domain, high-field and multi-modal pairs, four configs.
LUMIR25 = Edition(
    version='3.0',
    foreground='fixed',
    quantiles={'TRE_lm': 0.7},
    groups={'ID': 'ID_dice', 'OOD': 'OOD_dice', 'MM': 'MM_dice'},
)
EDITIONS = {'learn2reg': PUBLISHED, 'lumir': PUBLISHED, 'lumir25': LUMIR25}


def edition_of(configs: Sequence[EvaluationConfig], challenge: str | None = None) -> Edition:
    """The edition that ``challenge`` names; else 2025's where a config's file or its groups of pairs are 2025's."""
    if challenge is not None:
        return EDITIONS[challenge]
    of_2025 = any('lumir25' in config.path.name.lower() for config in configs)
    several = len(configs) > 2 and len({config.group for config in configs}) > 1
    return LUMIR25 if of_2025 or several else PUBLISHED
