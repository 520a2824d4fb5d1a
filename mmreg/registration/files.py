"""The files of one pair: what they are called is written here, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mmreg.utils.described import described

if TYPE_CHECKING:
    from .types import ImageLike, LandmarksLike

_IMAGE = 'a path or ImageFile, Volume, SimpleITK or nibabel image, or (array, geometry)'
_POINTS = 'a path, Landmarks, or ``(P, ndim)`` RAS mm'


@dataclass(frozen=True, eq=False)
class PairFiles:
    """What a user hands over of one pair, as it is given: paths, volumes, arrays.

    Its fields are the options of the command line, the keywords of :func:`mmreg.register` and of a pipeline, the
    columns of a list of pairs, and the inputs in ``plan.json``.
    """

    fixed: ImageLike = described('the image that stays: NIfTI, NRRD, MHA or a DICOM folder', python=_IMAGE)
    moving: ImageLike = described('the image that is brought to the fixed one, on any grid', python=_IMAGE)
    fixed_labels: ImageLike | None = described('label map of the fixed image, for scores', None)
    moving_labels: ImageLike | None = described('label map of the moving image: warped, and scored', None)
    fixed_mask: ImageLike | None = described('where the similarity counts in the fixed image', None)
    moving_mask: ImageLike | None = described('the same in the moving image', None)
    fixed_prompt: ImageLike | None = described(
        'label map of the fixed image that a prompted model sees and no metric uses; by default the segmenter of its '
        'config makes one',
        None,
    )
    fixed_landmarks: LandmarksLike | None = described(
        'landmarks of the fixed image: CSV (voxel, or mm with header x,y,z) or Slicer', None, python=_POINTS
    )
    moving_landmarks: LandmarksLike | None = described('their partners in the moving image', None)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """All of them, the two images first."""
        return tuple(one.name for one in fields(cls))

    @classmethod
    def optional(cls) -> tuple[str, ...]:
        """Those that may be left out."""
        return cls.names()[2:]

    @classmethod
    def of_sources(cls, fixed: Mapping[str, Any], moving: Mapping[str, Any]) -> PairFiles:
        """From what a data set knows of two subjects: ``image`` and maybe ``labels``, ``mask`` and so on."""
        from mmreg.io import ImageFile  # all that reads files: not for a help text

        found: dict[str, Any] = {}
        for name in cls.names():
            role, _, kind = name.partition('_')
            source = fixed if role == 'fixed' else moving
            path = source.get(kind or 'image')
            known = {key: source[key] for key in ImageFile.known() if source.get(key) is not None}
            if path:
                found[name] = ImageFile(path, **known) if known and kind != 'landmarks' else path
        return cls(**found)

    def given(self) -> dict[str, Any]:
        """Those that are given, by name; the two images always."""
        found = {name: getattr(self, name) for name in self.names()}
        return {name: value for name, value in found.items() if value is not None or name not in self.optional()}

    def only(self, names: tuple[str, ...]) -> PairFiles:
        """The two images and, of the rest, those in ``names``."""
        kept = {name: value for name, value in self.given().items() if name in names or name not in self.optional()}
        return PairFiles(**kept)
