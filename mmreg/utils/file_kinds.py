"""What a file is that was taken for a checkpoint and is none: told by its first bytes and its members."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mmreg.errors import listed

#: First bytes -> what such a file is.
_HEADS: tuple[tuple[bytes, str], ...] = (
    (b'version https://git-lfs.github.com', 'a pointer of Git LFS: the weights were not fetched (git lfs pull)'),
    (b'version https://hawser', 'a pointer of Git LFS: the weights were not fetched (git lfs pull)'),
    (
        b'\x89HDF\r\n\x1a\n',
        'an HDF5 file, as Keras writes weights: `mmreg convert auto FILE OUT.pth` makes one of ours of it',
    ),
    (b'\x93NUMPY', 'a NumPy array (.npy)'),
    (b'\x1f\x8b', 'compressed by gzip: unpack it first'),
    (b'BZh', 'compressed by bzip2: unpack it first'),
    (b'\xfd7zXZ', 'compressed by xz: unpack it first'),
    (b'7z\xbc\xaf\x27\x1c', 'a 7z archive: unpack it first'),
    (b'Rar!', 'a RAR archive: unpack it first'),
    (b'%PDF', 'a PDF document'),
    (b'GGUF', 'a GGUF file'),
)
_PAGES = (b'<!doctype html', b'<html', b'<?xml', b'<head')
_CHECKPOINTS = ('.pth', '.pt', '.ckpt', '.tar', '.bin', '.trch', '.pkl', '.safetensors')
#: Members that torch.save writes into the folder of its archive.
_UNZIPPED = ('data.pkl', 'data', 'version')


def kind_of_file(path: str | Path) -> str | None:
    """What ``path`` is, where it is plainly something else than a file of :func:`torch.save`; else None."""
    path = Path(path)
    try:
        with open(path, 'rb') as file:
            head = file.read(512)
    except OSError:
        return None
    for start, words in _HEADS:
        if head.startswith(start):
            return words
    if head.lstrip().lower().startswith(_PAGES):
        return 'a web page: the address that it was loaded from leads to a page and not to the file'
    if head.startswith(b'{') and not head.startswith(b'{"__metadata__"'):
        return 'a text in JSON'
    if head[257:262] == b'ustar':
        return 'a tar archive: unpack it first'
    return _kind_of_archive(path) if head.startswith(b'PK') else _safetensors(head)


def kind_of_folder(path: str | Path) -> str | None:
    """What a folder is: a checkpoint that was unpacked by mistake, or one that holds checkpoints; None: neither."""
    path = Path(path)
    try:
        inside = sorted(child.name for child in path.iterdir())
    except OSError:
        return None
    folders = [path, *(path / name for name in inside if (path / name).is_dir())]
    for folder in folders[:50]:
        if all((folder / name).exists() for name in _UNZIPPED[:2]):
            return f'a checkpoint that was unpacked: give the file itself, or pack the folder {folder.name} as a zip'
    found = [name for name in inside if name.endswith(_CHECKPOINTS)]
    return f'a folder with {listed(found, shown=3)}: name one of them' if found else None


def _kind_of_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if any(name.endswith(('/constants.pkl', 'constants.pkl')) and '/code/' in ''.join(names) for name in names):
        return 'a TorchScript program (torch.jit.save), which holds code'
    if any(name.endswith('data.pkl') for name in names):
        return None
    if names and all(name.endswith('.npy') for name in names):
        return 'a NumPy archive (.npz)'
    inside = [name for name in names if name.endswith(_CHECKPOINTS)]
    if inside:
        return f'a zip around {", ".join(inside[:2])}: unpack it first'
    if any(name.endswith(('.keras', 'model.weights.h5', '.h5')) for name in names):
        return 'an archive of Keras, whose weights are not read here'
    return f'a zip of other files (first {names[0]})' if names else 'an empty zip'


def _safetensors(head: bytes) -> str | None:
    """A safetensors file begins with the length of a JSON text."""
    return 'a safetensors file, whose name has to end in .safetensors' if head[8:10] == b'{"' else None
