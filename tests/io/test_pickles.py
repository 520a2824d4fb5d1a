import os
import pickle
import subprocess
from collections import OrderedDict

import numpy as np
import pytest

from mmreg.errors import DataError
from mmreg.io import read_npz, restricted_load


def dump(path, item, protocol=pickle.DEFAULT_PROTOCOL):
    path.write_bytes(pickle.dumps(item, protocol=protocol))
    return path


def same(a, b):
    if isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and type(a) is np.ndarray and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(b, dict):
        return type(a) is type(b) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in b)
    if isinstance(b, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b


ITEMS = [
    (np.random.default_rng(0).random((4, 5, 6)).astype(np.float32), np.arange(24, dtype=np.uint8).reshape(2, 3, 4)),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(6, dtype='>i2'),
    np.array(3.5),
    np.zeros((0, 3)),
    np.array([True, False]),
    np.array(['a', 'bcd']),
    {'image': np.ones(3), 'spacing': (1.0, 2.0), 'id': 'p_0438', 'n': 3, 'flag': None, 'raw': b'\x00\xff'},
    OrderedDict(a=[1, 2, {3, 4}], b=frozenset('xy'), c=2 + 3j),
    np.float32(2.5),
    [np.int64(7), True],
]


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('item', ITEMS, ids=range(len(ITEMS)))
def test_arrays_and_containers(tmp_path, item, protocol):
    loaded = restricted_load(dump(tmp_path / 'p.pkl', item, protocol))
    assert same(loaded, item)


def test_arrays_are_writable_and_shared_ones_stay_equal(tmp_path):
    array = np.arange(4.0)
    first, second = restricted_load(dump(tmp_path / 'p.pkl', (array, array)))
    first += 1
    assert first is second and first[0] == 1


class Evil:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ('make', 'name'),
    [
        (lambda mark: Evil(os.system, f'touch {mark}'), 'posix.system'),
        (lambda mark: Evil(eval, f'open({str(mark)!r}, "w")'), 'builtins.eval'),
        (lambda mark: Evil(subprocess.call, ['touch', str(mark)]), 'subprocess.call'),
        (lambda mark: (np.ones(3), {'deep': [Evil(open, str(mark), 'w')]}), f'{open.__module__}.open'),
        (lambda mark: Evil(getattr, np.ones(3), 'tofile'), 'builtins.getattr'),
        (lambda mark: Evil(np.save, str(mark), np.ones(3)), 'numpy.save'),
        (lambda mark: Evil(np.memmap, str(mark), 'f4', 'w+', 0, (3,)), 'numpy.memmap'),
    ],
)
def test_code_is_refused_and_not_run(tmp_path, make, name):
    mark = tmp_path / 'ran'
    path = dump(tmp_path / 'p.pkl', make(mark))
    with pytest.raises(DataError) as caught:
        restricted_load(path)
    message = str(caught.value)
    assert message.startswith(f'{path}: ') and f"'{name}'" in message and 'expected' in message and '\n' not in message
    assert not mark.exists()


def test_object_arrays_are_refused(tmp_path):
    with pytest.raises(DataError, match="arrays of type 'O8'"):
        restricted_load(dump(tmp_path / 'p.pkl', np.array([1, None], dtype=object)))
    with pytest.raises(DataError, match='arrays of type'):
        restricted_load(dump(tmp_path / 'q.pkl', np.zeros(2, dtype=[('a', 'f4'), ('b', 'O')])))


@pytest.mark.parametrize('data', [b'', b'hello', b'\x80\x04\x95'])
def test_damaged(tmp_path, data):
    (tmp_path / 'p.pkl').write_bytes(data)
    with pytest.raises(DataError, match='p.pkl: found a damaged pickle'):
        restricted_load(tmp_path / 'p.pkl')


def test_truncated_array(tmp_path):
    path = dump(tmp_path / 'p.pkl', np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match='damaged'):
        restricted_load(path)


def test_shape_that_lies(tmp_path):
    data = pickle.dumps(np.arange(5, dtype=np.uint8), protocol=2)
    lie = data.replace(b'K\x05\x85', b'K\x09\x85')  # the shape (5,) becomes (9,)
    assert lie != data
    (tmp_path / 'p.pkl').write_bytes(lie)
    with pytest.raises(DataError, match='damaged'):
        restricted_load(tmp_path / 'p.pkl')


def test_missing(tmp_path):
    for load in (restricted_load, read_npz):
        with pytest.raises(DataError, match='no such file'):
            load(tmp_path / 'absent')


def test_npz(tmp_path):
    np.savez(tmp_path / 'a.npz', img=np.ones(3), lbl=np.zeros(2, int))
    assert sorted(read_npz(tmp_path / 'a.npz', ('img', 'lbl'))) == ['img', 'lbl']
    with pytest.raises(DataError, match=r"found the keys \['img', 'lbl'\], expected 'mask' among them"):
        read_npz(tmp_path / 'a.npz', ('img', 'mask'))
    np.savez(tmp_path / 'o.npz', a=np.array([Evil(os.system, f'touch {tmp_path / "ran"}')], dtype=object))
    (tmp_path / 'text.npz').write_text('no archive')
    np.save(tmp_path / 'single.npy', np.ones(3))
    (tmp_path / 'cut.npz').write_bytes((tmp_path / 'a.npz').read_bytes()[:100])
    for name in ('o.npz', 'text.npz', 'single.npy', 'cut.npz'):
        with pytest.raises(DataError, match=f'{name}: found something that is not an npz'):
            read_npz(tmp_path / name)
    assert not (tmp_path / 'ran').exists()
