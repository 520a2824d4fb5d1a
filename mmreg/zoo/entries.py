"""What an entry of the zoo says: published weights, what they must be fed, and where their authors keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Needs:
    """What the weights were trained on, and what is therefore made of any file before they see it.

    Attributes:
        contrast: Modality and contrast in words, such as ``'T1-weighted MR'``.
        skull_stripped: Whether everything outside the brain was zero; None: no brains.
        orientation: Order and direction of the training grid's axes, such as ``'LIA'``; None: as the file.
        spacing: Voxel size in mm; None: as the file.
        size: Voxels per axis of the training images: what a network of volumes is shown has them.
        intensity: Configs of the intensity transforms, applied to each image.
        affine: Initialisation of two raw files, as ``--affine`` takes it: the training images were aligned already.
    """

    contrast: str
    skull_stripped: bool | None
    orientation: str | None
    spacing: float | None
    size: tuple[int, ...]
    intensity: tuple[Mapping[str, Any], ...]
    affine: str = 'none'

    def sentence(self) -> str:
        """What a user must give, in words."""
        brain = {True: ', skull-stripped', False: ', with skull', None: ''}[self.skull_stripped]
        return f'{self.contrast}{brain}'

    def preparation(self) -> dict[str, Any]:
        """The ``inference`` section that a config gets."""
        found: dict[str, Any] = {'intensity': [dict(transform) for transform in self.intensity]}
        if self.orientation is not None:
            found['orientation'] = self.orientation
        if self.spacing is not None:
            found['spacing'] = self.spacing
        if len(self.size) == 3 and (self.orientation is not None or len(set(self.size)) == 1):
            found['size'] = list(self.size)  # sizes of unknown axes would crop the wrong ones
        return found


@dataclass(frozen=True)
class Entry:
    """Published weights by name.

    Attributes:
        name: How a user asks for them.
        method: Name of the method.
        family: Family of the converter.
        config: Name of the shipped config that they run with.
        options: Keys of that config that they need otherwise, as ``--cfg-options`` takes them.
        trained_on: Data set.
        needs: What they must be fed.
        parameters: Numbers in the network.
        licence: That its repository states; 'none stated' where there is none.
        published: Result that the authors published.
        checked: Agreement of the converted network with the authors' own classes, and what was measured on files.
        repository: ``owner/name`` of the public repository.
        commit: State of the repository in which the file is; '' where the file is not at such an address.
        path: Place of the file in it; '' where it is not known.
        size_bytes: Of the file.
        sha256: Of the file; '' where nobody checked one: the user gives the file by hand.
        link: Where its authors say the file is; '' where their page leads to it. Nobody checked what lies there.
        note: What else a user must know.
    """

    name: str
    method: str
    family: str
    config: str
    trained_on: str
    needs: Needs
    parameters: int
    licence: str
    repository: str
    path: str = ''
    commit: str = ''
    size_bytes: int = 0
    sha256: str = ''
    options: Mapping[str, Any] = field(default_factory=dict)
    published: str = ''
    checked: str = ''
    link: str = ''
    note: str = ''

    @property
    def url(self) -> str:
        """Address of the file, '' where only the page of its project is known."""
        return f'https://github.com/{self.repository}/raw/{self.commit}/{self.path}' if self.commit else ''

    @property
    def page(self) -> str:
        """Page of the project."""
        return f'https://github.com/{self.repository}'

    @property
    def file_name(self) -> str:
        """Name of the published file; where its authors' name for it is not known, one of ours."""
        return (self.path or self.link).rpartition('/')[2] or f'{self.name}.published'

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with the address."""
        return {**asdict(self), 'options': dict(self.options), 'url': self.url, 'page': self.page}
