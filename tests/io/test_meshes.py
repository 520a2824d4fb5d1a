"""Meshes: points in the world, and the same file with others; everything but the points stays."""

import struct
import sys

import nibabel
import numpy as np
import pytest

from mmreg.errors import ConfigError, DataError, DataWarning
from mmreg.io.meshes import MESH_ENDINGS, is_mesh_file, read_mesh

VTK = b'# vtk DataFile Version 3.0\nt\n'
POINTS = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0], [0, 0, 30.5]])
FACES = [(0, 1, 2), (0, 3, 1)]
MATRIX = np.array([[1.1, 0.1, 0, 5], [0, 0.9, 0.2, -3], [0.05, 0, 1.0, 7], [0, 0, 0, 1]])
MOVED = POINTS @ MATRIX[:3, :3].T + MATRIX[:3, 3]
SCALARS = 'POINT_DATA 4\nSCALARS thickness float 1\nLOOKUP_TABLE default\n1 2 3 4\n'


def vtk(path, form='ASCII', kind='float', title='a surface', tail=SCALARS):
    order = {'float': '>f4', 'double': '>f8'}[kind]
    head = f'# vtk DataFile Version 3.0\n{title}\n{form}\nDATASET POLYDATA\nPOINTS 4 {kind}\n'.encode()
    cells = np.array([[3, *face] for face in FACES], '>i4')
    if form == 'ASCII':
        body = ' '.join(f'{v:g}' for v in POINTS.ravel()).encode() + b'\nPOLYGONS 2 8\n3 0 1 2\n3 0 3 1\n'
    else:
        body = POINTS.astype(order).tobytes() + b'\nPOLYGONS 2 8\n' + cells.tobytes() + b'\n'
    path.write_bytes(head + body + tail.encode())


def ply(path, form='ascii', extra=False):
    order = '>' if 'big' in form else '<'
    more = 'property uchar red\n' if extra else ''
    head = (
        f'ply\nformat {form} 1.0\ncomment made here\nelement vertex 4\nproperty float x\nproperty float y\n'
        f'property float z\n{more}element face 2\nproperty list uchar int vertex_indices\nend_header\n'
    ).encode()
    if form == 'ascii':
        rows = [' '.join(f'{v:g}' for v in point) + (' 200' if extra else '') for point in POINTS]
        body = '\n'.join([*rows, *(f'3 {a} {b} {c}' for a, b, c in FACES)]).encode() + b'\n'
    else:
        body = b''.join(struct.pack(f'{order}3f', *p) + (b'\xc8' if extra else b'') for p in POINTS)
        body += b''.join(struct.pack(f'{order}B3i', 3, *face) for face in FACES)
    path.write_bytes(head + body)


def stl(path, form='ascii'):
    if form == 'ascii':
        lines = ['solid one']
        for face in FACES:
            lines += ['  facet normal 0 0 0', '    outer loop']
            lines += ['      vertex ' + ' '.join(f'{v:g}' for v in POINTS[n]) for n in face]
            lines += ['    endloop', '  endfacet']
        path.write_text('\n'.join([*lines, 'endsolid one']) + '\n')
        return
    body = b''.join(struct.pack('<12fH', 0, 0, 0, *POINTS[list(face)].ravel(), 7) for face in FACES)
    path.write_bytes(b'3D Slicer output. SPACE=LPS'.ljust(80) + struct.pack('<I', len(FACES)) + body)


def gifti(path, system=None):
    points = nibabel.gifti.GiftiDataArray(POINTS.astype(np.float32), intent='NIFTI_INTENT_POINTSET', coordsys=system)
    faces = nibabel.gifti.GiftiDataArray(np.array(FACES, np.int32), intent='NIFTI_INTENT_TRIANGLE')
    nibabel.save(nibabel.GiftiImage(darrays=[points, faces]), path)


MAKERS = {
    'ascii.vtk': lambda path: vtk(path),
    'binary.vtk': lambda path: vtk(path, 'BINARY'),
    'double.vtk': lambda path: vtk(path, 'BINARY', 'double'),
    'ascii.ply': lambda path: ply(path, extra=True),
    'little.ply': lambda path: ply(path, 'binary_little_endian', extra=True),
    'big.ply': lambda path: ply(path, 'binary_big_endian'),
    'ascii.stl': lambda path: stl(path),
    'one.surf.gii': lambda path: gifti(path),
}


@pytest.mark.parametrize('name', MAKERS)
def test_points_move_and_the_rest_stays(tmp_path, name):
    path, out = tmp_path / name, tmp_path / f'moved_{name}'
    MAKERS[name](path)
    mesh = read_mesh(path)
    of_corners = np.concatenate([POINTS[list(face)] for face in FACES])
    np.testing.assert_allclose(mesh.points, of_corners if name.endswith('stl') else POINTS, atol=1e-6)
    assert mesh.frame == 'ras' and is_mesh_file(path)
    mesh.write(out, mesh.points @ MATRIX[:3, :3].T + MATRIX[:3, 3])
    again = read_mesh(out)
    wanted = of_corners @ MATRIX[:3, :3].T + MATRIX[:3, 3] if name.endswith('stl') else MOVED
    np.testing.assert_allclose(again.points, wanted, rtol=1e-6, atol=1e-5)
    again.write(tmp_path / f'back_{name}', mesh.points)
    np.testing.assert_allclose(read_mesh(tmp_path / f'back_{name}').points, mesh.points, atol=1e-5)
    if name == 'binary.vtk':
        start = path.read_bytes().index(b'float\n') + 6
        for part in (slice(None, start), slice(start + 48, None)):
            assert path.read_bytes()[part] == out.read_bytes()[part]
    if name == 'one.surf.gii':
        faces = nibabel.load(out).get_arrays_from_intent('NIFTI_INTENT_TRIANGLE')[0].data
        assert faces.tolist() == [list(face) for face in FACES]
    if name in ('little.ply', 'ascii.ply'):
        assert (
            b'\xc8' if 'little' in name else b' 200\n'
        ) in out.read_bytes() and b'comment made here' in out.read_bytes()


@pytest.mark.parametrize('name', ['ascii.ply', 'little.ply'])
def test_another_program_reads_what_is_written(tmp_path, name):
    meshio = pytest.importorskip('meshio')

    MAKERS[name](tmp_path / name)
    mesh = read_mesh(tmp_path / name)
    mesh.write(tmp_path / f'moved_{name}', mesh.points + 1)
    theirs, before = meshio.read(tmp_path / f'moved_{name}'), meshio.read(tmp_path / name)
    np.testing.assert_allclose(theirs.points, before.points + 1, atol=1e-5)
    assert (theirs.cells_dict['triangle'] == before.cells_dict['triangle']).all()


def test_frames(tmp_path):
    stl(tmp_path / 'a.stl', 'binary')
    mesh = read_mesh(tmp_path / 'a.stl')
    assert mesh.frame == 'lps'
    np.testing.assert_allclose(mesh.points[1], [-10, 0, 0], atol=1e-6)
    vtk(tmp_path / 'b.vtk', title='3D Slicer output. SPACE=LPS')
    assert read_mesh(tmp_path / 'b.vtk', 'ras').frame == 'lps', 'what the file says counts more'
    ply(tmp_path / 'c.ply')
    lps = read_mesh(tmp_path / 'c.ply', 'lps')
    lps.write(tmp_path / 'd.ply', lps.points)
    np.testing.assert_allclose(read_mesh(tmp_path / 'd.ply').points, POINTS, atol=1e-6)
    with pytest.raises(ConfigError, match='ras or lps'):
        read_mesh(tmp_path / 'c.ply', 'voxel')


def test_normals_of_triangles_follow_and_others_are_told(tmp_path):
    stl(tmp_path / 'a.stl', 'binary')
    mesh = read_mesh(tmp_path / 'a.stl')
    mesh.write(tmp_path / 'b.stl', mesh.points[:, [1, 2, 0]])
    data = (tmp_path / 'b.stl').read_bytes()
    rows = np.frombuffer(data[84:], np.dtype([('n', '<f4', 3), ('v', '<f4', 9), ('a', '<u2')]))
    corners = rows['v'].reshape(-1, 3, 3)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    np.testing.assert_allclose(rows['n'], across / np.linalg.norm(across, axis=1, keepdims=True), atol=1e-6)
    assert rows['a'].tolist() == [7, 7]
    vtk(tmp_path / 'n.vtk', tail='POINT_DATA 4\nNORMALS n float\n' + '0 0 1\n' * 4)
    with pytest.warns(DataWarning, match='its normals are those'):
        read_mesh(tmp_path / 'n.vtk')


def test_the_own_transform_of_gifti(tmp_path):
    """Numbers of FreeSurfer's surfaces are not in the scanner's space; the matrix in the file leads there."""
    shift = np.eye(4)
    shift[:3, 3] = [1, -2, 3]
    gifti(tmp_path / 'a.gii', nibabel.gifti.GiftiCoordSystem(dataspace=0, xformspace=1, xform=shift))
    mesh = read_mesh(tmp_path / 'a.gii')
    np.testing.assert_allclose(mesh.points, POINTS + [1, -2, 3], atol=1e-6)
    mesh.write(tmp_path / 'b.gii', mesh.points)
    np.testing.assert_allclose(read_mesh(tmp_path / 'b.gii').points, POINTS + [1, -2, 3], atol=1e-5)


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('a.vtk', b'no vtk', 'no header of a legacy VTK'),
        ('a.vtk', VTK + b'ASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 2 2 2\n', 'without POINTS'),
        ('a.vtk', VTK + b'ASCII\nDATASET POLYDATA\nPOINTS 4 float\n1 2 3\n', 'found 3 numbers'),
        ('a.vtk', VTK + b'BINARY\nDATASET POLYDATA\nPOINTS 9 float\nxx', 'fewer bytes'),
        ('a.vtk', VTK + b'ASCII\nDATASET POLYDATA\nPOINTS 1 int\n1 2 3\n', 'of type int'),
        ('a.vtk', VTK + b'ASCII\nDATASET POLYDATA\nPOINTS 1 float\n1 2 x\n', 'cannot be read'),
        ('a.vtk', VTK + b'ASCII\nDATASET POLYDATA\nPOINTS 1 float\n1 2 nan\n', 'finite'),
        ('a.ply', b'ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nend_header\n1\n', 'vertices of x'),
        ('a.ply', b'ply\nformat odd 1.0\nend_header\n', "format 'odd'"),
        ('a.stl', b'binary but short', 'no text'),
        ('a.stl', b'solid\nendsolid\n', 'found 0 corners'),
        ('a.gii', b'<xml/>', 'expected a surface in GIFTI'),
        ('a.vtp', b'', "the ending '.vtp', expected a mesh: .vtk"),
    ],
)  # fmt: skip
def test_what_is_no_mesh(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as refused:
        read_mesh(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value) or 'finite' in words
    assert len(str(refused.value).splitlines()) == 1


def test_others_need_meshio(tmp_path, monkeypatch):
    (tmp_path / 'a.obj').write_text('v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n')
    monkeypatch.setitem(sys.modules, 'meshio', None)
    with pytest.raises(ConfigError, match=r'pip install "mmreg\[mesh\]"'):
        read_mesh(tmp_path / 'a.obj')
    assert {'.vtk', '.stl', '.ply', '.gii', '.obj'} <= set(MESH_ENDINGS)


def test_others_by_meshio(tmp_path):
    pytest.importorskip('meshio')
    (tmp_path / 'a.obj').write_text('v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n')
    mesh = read_mesh(tmp_path / 'a.obj')
    mesh.write(tmp_path / 'b.obj', mesh.points + 2)
    np.testing.assert_allclose(read_mesh(tmp_path / 'b.obj').points, mesh.points + 2, atol=1e-6)
    (tmp_path / 'broken.off').write_text('OFF\nnonsense')
    with pytest.raises(DataError, match='meshio cannot read'):
        read_mesh(tmp_path / 'broken.off')


def test_another_number_of_points_is_refused(tmp_path):
    ply(tmp_path / 'a.ply')
    with pytest.raises(DataError, match='3 points for a mesh of 4'):
        read_mesh(tmp_path / 'a.ply').write(tmp_path / 'b.ply', POINTS[:3])
    assert not (tmp_path / 'b.ply').exists()
