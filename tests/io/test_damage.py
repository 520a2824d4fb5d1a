"""Damaged and dishonest image files are refused in every format; nothing is read with wrong voxels, nothing waits."""

import gzip
import os
import random
import re
import socket
import struct
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, read_geometry, read_transform, read_volume, write_volume
from mmreg.io.formats import payload

from .helpers import oblique, smooth_image

nib = pytest.importorskip('nibabel')

#: Name of the header, of the file with the voxels, and whether they are packed.
FORMATS = (
    ('f.nii.gz', 'f.nii.gz', True), ('f.nii', 'f.nii', False), ('f.hdr', 'f.img', False), ('f.mgz', 'f.mgz', True),
    ('f.mgh', 'f.mgh', False), ('z.mha', 'z.mha', True), ('f.mha', 'f.mha', False), ('z.mhd', 'z.zraw', True),
    ('f.mhd', 'f.raw', False), ('z.nrrd', 'z.nrrd', True), ('f.nrrd', 'f.nrrd', False), ('z.nhdr', 'z.raw.gz', True),
)  # fmt: skip


def write(folder, header):
    volume = smooth_image(oblique((20, 24, 18)))
    image = volume.to_sitk()
    if header.endswith(('.mgz', '.mgh')):
        nib.save(nib.MGHImage(volume.array, volume.geometry.affine), folder / header)
    elif header.endswith('.hdr'):
        nib.save(nib.Nifti1Pair(volume.array, volume.geometry.affine), folder / header)
    else:
        sitk.WriteImage(image, str(folder / header), useCompression=header.startswith('z') or header.endswith('.gz'))
    return volume


@pytest.mark.parametrize(('header', 'data', 'packed'), FORMATS)
def test_a_damaged_file_is_refused_or_read_right(tmp_path, header, data, packed, capfd):
    volume, rng = write(tmp_path, header), random.Random(1)
    good = (tmp_path / data).read_bytes()
    assert np.abs(read_volume(tmp_path / header).array - volume.array).max() < 1e-5
    for case in range(40):
        damaged = bytearray(good)
        if case % 2 or not packed:
            del damaged[rng.randrange(len(good)) :]
        else:
            damaged[rng.randrange(20, len(good))] ^= 1 << rng.randrange(8)
        (tmp_path / data).write_bytes(damaged)
        try:
            found = read_volume(tmp_path / header)
        except DataError as error:
            assert '\n' not in str(error) and 'expected' in str(error)
        else:
            assert np.abs(found.array - volume.array).max() < 1e-5
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('name', ['f.mha', 'z.mha', 'f.nrrd', 'z.nrrd'])
@pytest.mark.parametrize('sizes', [b'99999999999999999999 1 1', b'30000 30000 30000', b'-1 2 3', b'a b c', b'0 0 0'])
def test_sizes_that_the_file_cannot_hold(tmp_path, name, sizes):
    write(tmp_path, name)
    data = (tmp_path / name).read_bytes()
    key = b'sizes:' if name.endswith('nrrd') else b'DimSize ='
    (tmp_path / name).write_bytes(re.sub(key + rb'[^\n]*', key + b' ' + sizes, data, count=1))
    with pytest.raises(DataError, match='expected'):
        read_volume(tmp_path / name)


@pytest.mark.parametrize('name', ['f.nii', 'f.nii.gz'])
def test_nifti_sizes_that_the_file_cannot_hold(tmp_path, name):
    write(tmp_path, name)
    raw = (tmp_path / name).read_bytes()
    raw = bytearray(gzip.decompress(raw) if name.endswith('gz') else raw)
    struct.pack_into('<4h', raw, 40, 3, 30000, 30000, 30000)
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith('gz') else raw)
    with pytest.raises(DataError, match='truncated'):
        read_volume(tmp_path / name)


def test_a_packed_file_of_nothing_is_refused_before_memory_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(payload, '_SUSPICIOUS_BYTES', 1 << 20)
    path = tmp_path / 'bomb.nii.gz'
    header = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)).header
    header.set_data_shape((256, 256, 256))
    header['magic'], header['vox_offset'] = b'n+1', 352
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4) + bytes(256**3)))
    with pytest.raises(DataError, match='unpack to one value'):
        read_volume(path)


def test_more_than_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr('mmreg.io.files.free_memory', lambda: 10_000)
    for name in ('f.nii.gz', 'f.mha', 'z.nrrd', 'f.mgz'):
        write(tmp_path, name)
        with pytest.raises(DataError, match='of memory for its voxels'):
            read_volume(tmp_path / name)


def test_a_checksum_of_zlib(tmp_path):
    write(tmp_path, 'z.mha')
    data = bytearray((tmp_path / 'z.mha').read_bytes())
    data[-1] ^= 1  # the last byte of the checksum
    (tmp_path / 'z.mha').write_bytes(data)
    with pytest.raises(DataError, match='damaged zlib'):
        read_volume(tmp_path / 'z.mha')
    assert zlib.adler32(b'') == 1


@pytest.mark.parametrize('read', [read_volume, read_geometry])
@pytest.mark.parametrize('kind', ['fifo', 'device', 'socket', 'loop'])
def test_what_is_no_regular_file(tmp_path, read, kind):
    path = tmp_path / 'image.nii.gz'
    if kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    elif kind == 'socket':
        here = os.getcwd()
        os.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
        os.chdir(here)
    else:
        path.symlink_to(path)
    with pytest.raises(DataError, match='not a regular file' if kind != 'loop' else 'expected'):
        read(path)


@pytest.mark.parametrize('name', ['f.mhd', 'f.nhdr'])
def test_voxels_in_a_pipe(tmp_path, name):
    write(tmp_path, name)
    (tmp_path / 'f.raw').unlink()
    os.mkfifo(tmp_path / 'f.raw')
    with pytest.raises(DataError, match='not a regular file'):
        read_volume(tmp_path / name)


@pytest.mark.parametrize('ending', ['.nii.gz', '.mha', '.nrrd', '.h5'])
def test_a_name_that_is_no_text(tmp_path, ending):
    name = os.fsdecode(os.fsencode(tmp_path) + b'/a\xff' + ending.encode())
    for use in (
        lambda: read_volume(name), lambda: read_geometry(name), lambda: read_transform(name),
        lambda: write_volume(name, Volume(np.zeros((3, 3, 3), np.float32), Geometry.from_parts((3, 3, 3)))),
    ):  # fmt: skip
        with pytest.raises(DataError, match='no UTF-8') as caught:
            use()
        str(caught.value).encode()
