"""Lists of label values that challenges average over."""

from __future__ import annotations

#: The 133 labels of the LUMIR validation score, background 0 among them. Source: ``eoir.md`` section 4.
LUMIR_LABELS: tuple[int, ...] = (
    0, 4, 11, 23, *range(30, 33), *range(35, 42), 44, 45, *range(47, 53), *range(55, 63), *range(71, 74), 75, 76,
    *range(100, 110), *range(112, 126), 128, 129, *range(132, 158), *range(160, 188), *range(190, 208),
)  # fmt: skip
