"""Seeded ways to damage a file, by its kind: bytes, text, JSON, archives, names."""

import gzip
import json
import os
import re
import zipfile
from pathlib import Path

NUMBERS = ['0', '-1', 'nan', 'inf', '1e400', '-1e30', '99999999999999999999', '1e-320', '', 'x', '0x10', '١٢', '1_0']
VALUES = [
    None,
    True,
    [],
    {},
    -1,
    1e400,
    '',
    'x' * 300,
    '../../x',
    [[[]]],
    {'type': 'os.system'},
    10**30,
    '\x00',
    '\ud800',
]


def damage(rng, path, others):
    """Damage the file at ``path`` in place, or put something else there, such as one of ``others``; says what."""
    kinds = [_truncate, _flip, _flip, _insert, _repeat, _other, _special]
    if path.suffix in ('.csv', '.json', '.yaml', '.txt', '.tfm', '.fcsv', '.cfg', '.mhd', '.mrk'):
        kinds += [_numbers, _numbers, _lines, _bytes_that_are_no_text]
    if path.suffix == '.json':
        kinds += [_values, _values, _values, _deep]
    if path.name.endswith('.gz'):
        kinds += [_inside_gzip, _inside_gzip]
    if path.suffix in ('.zip', '.npz', '.pth'):
        kinds += [_archive, _archive]
    kind = rng.choice(kinds)
    done = _other(rng, path, others) if kind is _other else kind(rng, path)
    return f'{kind.__name__.lstrip("_")}: {done}'


def _truncate(rng, path):
    data = path.read_bytes()
    kept = rng.choice([0, 1, 4, 100, 348, 352, len(data) - 1, rng.randrange(len(data))])
    path.write_bytes(data[:kept])
    return f'{kept} of {len(data)} bytes'


def _flip(rng, path):
    data = bytearray(path.read_bytes())
    places = [rng.randrange(min(len(data), rng.choice([64, 400, len(data)]))) for _ in range(rng.choice([1, 1, 2, 8]))]
    for place in places:
        data[place] = rng.randrange(256)
    path.write_bytes(bytes(data))
    return f'bytes {places}'


def _insert(rng, path):
    data = path.read_bytes()
    place, new = rng.randrange(len(data)), rng.randbytes(rng.choice([1, 16, 4096]))
    path.write_bytes(data[:place] + new + data[place:])
    return f'{len(new)} bytes at {place}'


def _repeat(rng, path):
    data = path.read_bytes()
    path.write_bytes(data * rng.choice([2, 3]))
    return 'twice'


def _other(rng, path, others):
    """The content of another file under this name."""
    other = rng.choice(others)
    path.write_bytes(other.read_bytes())
    return other.name


def _special(rng, path):
    what = rng.choice(['folder', 'fifo', 'zero', 'null', 'loop', 'nowhere', 'empty', 'socketless'])
    path.unlink()
    if what == 'folder':
        path.mkdir()
    elif what == 'fifo':
        os.mkfifo(path)
    elif what in ('zero', 'null'):
        path.symlink_to(f'/dev/{what}')
    elif what == 'loop':
        path.symlink_to(path.name)
    elif what == 'nowhere':
        path.symlink_to('nowhere')
    elif what == 'empty':
        path.touch()
    return what


def _numbers(rng, path):
    text = path.read_bytes().decode('latin-1')
    found = list(re.finditer(r'-?\d+(\.\d+)?', text))
    if not found:
        return 'none'
    for match in rng.sample(found, min(len(found), rng.choice([1, 2]))):
        new = rng.choice(NUMBERS)
        text = text[: match.start()] + new + text[match.end() :]
    path.write_bytes(text.encode('utf-8'))
    return 'numbers'


def _lines(rng, path):
    lines = path.read_bytes().splitlines(keepends=True)
    what = rng.choice(['drop', 'double', 'shuffle', 'comma', 'long', 'empty'])
    place = rng.randrange(len(lines) or 1)
    if what == 'drop':
        del lines[place : place + 1]
    elif what == 'double':
        lines = lines[:place] + lines[place : place + 1] * 2 + lines[place + 1 :]
    elif what == 'shuffle':
        rng.shuffle(lines)
    elif what == 'comma':
        lines = [line.replace(b',', rng.choice([b'', b',,', b';', b'\t', b'"'])) for line in lines]
    elif what == 'long':
        lines.append(b'x' * rng.choice([300, 200_000]) + b'\n')
    else:
        lines = [b'\n'] * len(lines)
    path.write_bytes(b''.join(lines))
    return what


def _bytes_that_are_no_text(rng, path):
    data = path.read_bytes()
    place = rng.randrange(len(data) + 1)
    path.write_bytes(data[:place] + rng.choice([b'\xff\xfe', b'\x00', b'\x80', b'\x1b[31m']) + data[place:])
    return f'at {place}'


def _values(rng, path):
    """One value of a JSON becomes something else."""
    content = json.loads(path.read_text(encoding='utf-8'))
    places = list(_places(content))
    holder, key = rng.choice(places)
    new = rng.choice(VALUES)
    if rng.random() < 0.2 and isinstance(holder, dict):
        del holder[key]
        new = 'gone'
    else:
        holder[key] = new
    path.write_text(json.dumps(content))
    return f'{key!r} becomes {str(new)[:20]!r}'


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def _deep(rng, path):
    depth = rng.choice([99, 200, 900, 100_000])
    open_, close = rng.choice([('[', ']'), ('{"a":', '}')])
    path.write_text(open_ * depth + '1' + close * depth)
    return f'{depth} deep'


def _inside_gzip(rng, path):
    data = bytearray(gzip.decompress(path.read_bytes()))
    for _ in range(rng.choice([1, 2, 4])):
        data[rng.randrange(min(len(data), rng.choice([352, 352, len(data)])))] = rng.randrange(256)
    path.write_bytes(gzip.compress(bytes(data), 1))
    return 'header or voxels'


def _archive(rng, path):
    """Members gone, doubled, renamed, encrypted by their flag, or a bomb."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except zipfile.BadZipFile:
        return _truncate(rng, path)
    what = rng.choice(['drop', 'rename', 'outside', 'flip', 'bomb', 'encrypted', 'method'])
    place = rng.randrange(len(members))
    name, data = members[place]
    if what == 'drop':
        del members[place]
    elif what in ('rename', 'outside'):
        members[place] = ('x' * 100 if what == 'rename' else '../../PWNED', data)
    elif what == 'flip' and data:
        changed = bytearray(data)
        changed[rng.randrange(min(len(changed), 200))] = rng.randrange(256)
        members[place] = (name, bytes(changed))
    elif what == 'bomb':
        members[place] = (name, bytes(64 << 20))
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, content in members:
            archive.writestr(member, content)
    if what in ('encrypted', 'method'):
        raw = bytearray(Path(path).read_bytes())
        at = raw.find(b'PK\x01\x02')
        raw[at + (8 if what == 'encrypted' else 10)] |= 1 if what == 'encrypted' else 0x63
        path.write_bytes(bytes(raw))
    return what
