"""From a folder of predictions to the archive that a challenge accepts."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mmreg.errors import DataError, listed
from mmreg.io import read_displacement_image
from mmreg.io.archives import member_bytes, open_archive
from mmreg.utils.atomic import replacing

from .config import ScoredPair
from .fields import check_header, inner_folder, layout, named_files, read_field, read_header
from .profiles import Profile
from .units import UnitWatch

#: What `mmreg infer` calls the field of a case in its folder, and its relatives; `mmreg test` uses the endings.
ITK_NAMES = ('displacement.nii.gz', 'displacement.mha', 'displacement.nrrd')
Shapes = Mapping[ScoredPair, tuple[int, ...]]
Track = Callable[[Sequence[ScoredPair]], Iterable[ScoredPair]]


def package(
    predictions: str | Path,
    archive: str | Path,
    profile: Profile,
    shapes: Shapes,
    track: Track = iter,
    watch: UnitWatch | None = None,
) -> None:
    """Write the archive, read it back and check it; an archive that the server would refuse is never left behind.

    Args:
        predictions: Folder with, per pair, ``disp_<fixed>_<moving>.nii.gz`` or ``.npz`` (voxels), or a folder
            ``<fixed>_<moving>`` with an ITK field ``displacement.nii.gz`` (LPS mm), as `mmreg infer` writes them, or
            that field as ``<fixed>_<moving>.nii.gz``, as `mmreg test --save-fields` does.
        archive: The zip file to write.
        profile: Form of the challenge.
        shapes: The pairs that must be there, and the spatial shape of each field.
        track: Wraps the list of pairs, for a progress bar.
        watch: Looks at every field.

    Raises:
        DataError: names every field that is missing, superfluous, or has another shape, type or values than allowed.
    """
    archive = Path(archive)
    if archive.suffix != '.zip':
        raise DataError(f"{archive}: found the ending '{archive.suffix}', expected .zip")
    files = collect(Path(predictions), shapes)
    profile = profile.named(archive.stem)
    with replacing(archive) as temporary:
        with zipfile.ZipFile(temporary, 'w', zipfile.ZIP_DEFLATED) as out, TemporaryDirectory() as scratch:
            for pair in track(list(shapes)):
                file = Path(scratch) / Path(profile.member(pair)).name
                displacement = read_prediction(files[pair], shapes[pair])
                if watch is not None:
                    watch.look(pair.field_stem, displacement)
                profile.write(file, displacement)
                out.write(file, profile.member(pair))
                file.unlink()
        validate(temporary, profile, shapes, name=archive.name)


def collect(folder: Path, shapes: Shapes) -> dict[ScoredPair, Path]:
    """The prediction of every pair, after a look at all of them."""
    if not folder.is_dir():
        raise DataError(f'{folder} is not a folder, expected one with predictions.')
    folder = inner_folder(folder)
    files: dict[ScoredPair, Path] = {}
    problems = []
    for pair, shape in shapes.items():
        found = candidates(folder, pair)
        if len(found) != 1:
            what = 'missing' if not found else f'found {", ".join(path.name for path in found)}, expected one'
            problems.append(f'{pair.field_stem}: {what}')
            continue
        files[pair] = found[0]
        problem = prediction_problem(found[0], shape)
        problems += [f'{pair.field_stem}: {problem}'] if problem else []
    wanted = {stem for pair in shapes for stem in pair.accepted_stems}
    extra = sorted(path.name for path in folder.glob('disp_*') if _stem(path) not in wanted)
    problems += [f'{name}: not among the pairs of the data set' for name in extra]
    _refuse(folder, problems)
    return files


def prediction_problem(path: Path, shape: Sequence[int]) -> str | None:
    """Why a prediction cannot be packed, None when it can."""
    if path.name in ITK_NAMES and (path.parent / 'affine.tfm').is_file():
        return 'registered on top of an affine, which a displacement alone cannot hold'
    problem = check_header(path, shape) if _in_voxels(path) else None
    if problem:
        return problem
    try:
        read_prediction(path, shape)
    except DataError as error:
        return str(error).replace(f'{path}', path.name).rstrip('.')
    return None


def read_prediction(path: Path, shape: Sequence[int]) -> np.ndarray:
    """A prediction as ``(ndim, *S)`` voxels, from a challenge file (voxels) or an ITK field image (LPS mm)."""
    if _in_voxels(path):
        return read_field(path, shape)
    displacement, geometry = read_displacement_image(path)
    if tuple(geometry.shape) != tuple(shape):
        raise DataError(f'{path}: found a field on the grid {tuple(geometry.shape)}, expected {tuple(shape)}.')
    return displacement


def validate(
    archive: str | Path,
    profile: Profile,
    shapes: Shapes,
    name: str | None = None,
    watch: UnitWatch | None = None,
) -> None:
    """Check an archive the way a server does: names, completeness, shape, type, finite values.

    The fields may lie at the top or in one folder of any name, and bear the scorer's name or the full one with the
    modalities: what the scorers read is not refused. What the profile itself writes is one of these.

    Raises:
        DataError: names everything that is wrong with it.
    """
    name = name or Path(archive).name
    try:
        with open_archive(archive) as content, TemporaryDirectory() as scratch:
            _refuse(name, list(_archive_problems(content, Path(scratch), profile, shapes, watch)))
    except DataError as error:
        raise DataError(str(error).replace(str(archive), name)) from error


def _archive_problems(
    content: zipfile.ZipFile, scratch: Path, profile: Profile, shapes: Shapes, watch: UnitWatch | None
) -> Iterable[str]:
    present = {entry.filename for entry in content.infolist() if not entry.is_dir()}
    present = {name for name in present if not _is_clutter(name)}
    folders = {name.rpartition('/')[0] for name in present if Path(name).name.startswith('disp_')}
    folder = folders.pop() if len(folders) == 1 and not profile.fixed_folder else profile.folder or ''
    wanted = {}
    for pair, shape in shapes.items():
        names = [profile.at(folder).member(pair, stem) for stem in pair.accepted_stems]
        wanted[next((name for name in names if name in present), names[0])] = shape
    for member in sorted(wanted.keys() - present):
        yield f'{member}: missing'
    for member in sorted(present - wanted.keys()):
        yield f'{member}: not expected'
    for member in sorted(present & wanted.keys()):
        file = scratch / Path(member).name
        try:
            file.write_bytes(member_bytes(content, member, _largest_field(wanted[member])))
            problem = _file_problem(file, profile, wanted[member], watch)
        except (DataError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            problem = str(error).replace(f'{member}: ', '').replace(str(file), '').lstrip(': ').rstrip('.')
        file.unlink(missing_ok=True)
        if problem:
            yield f'{member}: {problem}'


def _largest_field(shape: Sequence[int]) -> int:
    """Bytes of the file of a field: double precision, a header, and what packing may add."""
    return 9 * len(shape) * math.prod(shape) + (1 << 16)


def _is_clutter(name: str) -> bool:
    """Whether an entry is one that the archivers of some systems add; the scorers do not look at it."""
    return name.startswith('__MACOSX/') or Path(name).name in ('.DS_Store', 'Thumbs.db')


def _file_problem(file: Path, profile: Profile, shape: Sequence[int], watch: UnitWatch | None) -> str | None:
    stored, dtype = read_header(file)
    if layout(stored, shape) != profile.layout:
        return f'shape {stored} does not fit the image {tuple(shape)}'
    if dtype != profile.dtype:
        return f'values of type {dtype}, expected {profile.dtype}'
    displacement = read_field(file, shape)  # refuses NaN and infinity
    if watch is not None:
        watch.look(file.name, displacement)
    return None


def candidates(folder: Path, pair: ScoredPair) -> list[Path]:
    """Files in ``folder`` that may be the prediction of a pair: challenge files, or what `mmreg infer` writes."""
    direct = named_files(folder, pair)
    cases = dict.fromkeys(stem.removeprefix('disp_') for stem in (*pair.accepted_stems, pair.result_folder))
    fields = [folder / case / name for case in cases for name in ITK_NAMES]
    fields += [folder / f'{case}{"".join(Path(name).suffixes)}' for case in cases for name in ITK_NAMES]
    return [*direct, *(path for path in fields if path.is_file())]


def _in_voxels(path: Path) -> bool:
    """Whether a prediction is a challenge's file; other names are those of ITK fields in millimetres."""
    return path.name.startswith('disp_')


def _stem(path: Path) -> str:
    return path.name.split('.')[0]


def _refuse(where: str | Path, problems: Sequence[str]) -> None:
    if problems:
        raise DataError(f'{where} cannot be submitted: {listed(problems, "; ")}.')
