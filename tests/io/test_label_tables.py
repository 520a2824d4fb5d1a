"""Names of labels from the tables of other programs."""

import pytest

from mmreg.errors import DataError
from mmreg.io.label_tables import label_title, read_label_names

TABLES = {
    'lut.txt': """#No. Label Name: R G B A

0 Unknown 0 0 0 0
17  Left-Hippocampus   220 216 20 0
14 3rd-Ventricle 204 182 142 0
""",
    'snap.txt': """# Label Description File
    0     0    0    0        0  0  0    "Unknown"
   17   255    0    0        1  1  1    "Left-Hippocampus"
   14     0  255    0      0.5  1  1    "3rd-Ventricle"
""",
    'slicer.ctbl': """# Color table file
0 Unknown 0 0 0 0
17 Left-Hippocampus 220 216 20 255
14 3rd-Ventricle 1 2 3 255
""",
    'dseg.tsv': """index\tname\tabbreviation\tcolor
0\tUnknown\tU\t#000000
17\tLeft-Hippocampus\tH\t#ff0000
14\t3rd-Ventricle\tV\t#00ff00
""",
    'mine.csv': 'name;value\nUnknown;0\nLeft-Hippocampus;17\n3rd-Ventricle;14\n',
    'mine.json': '{"0": "Unknown", "17": "Left-Hippocampus", "14": "3rd-Ventricle"}',
}


@pytest.mark.parametrize('name', TABLES)
@pytest.mark.parametrize('change', [lambda t: t, lambda t: t.replace('\n', '\r\n'), lambda t: '\ufeff' + t])
def test_every_format_says_the_same(tmp_path, name, change):
    path = tmp_path / name
    path.write_bytes(change(TABLES[name]).encode())
    assert read_label_names(path) == {0: 'Unknown', 17: 'Left-Hippocampus', 14: '3rd-Ventricle'}


def test_names_with_spaces_and_the_first_of_two(tmp_path):
    path = tmp_path / 'a.ctbl'
    path.write_text('1 left upper lobe 1 2 3 255\n1 other 1 2 3 255\n2 "quoted name" 1 2 3\n')
    assert read_label_names(path) == {1: 'left upper lobe', 2: 'quoted name'}


@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('a.txt', '1 Left 1 2 3 0\nnonsense\n', r'a\.txt, row 2: found .nonsense., expected a table of label names'),
        ('a.txt', '', 'found no names'),
        ('a.tsv', 'index\tname\n1\n', 'row 2: found 1 columns, expected 2'),
        ('a.tsv', 'index\tname\n-3\tx\n', "found the value '-3'"),
        ('a.tsv', f'index\tname\n{"9" * 30}\tx\n', 'expected the number of a label'),
        ('a.json', '[1]', 'found a list'),
        ('a.json', '{"1": 2}', 'expected a name'),
        ('a.json', '{"one": "x"}', "the key 'one'"),
    ],
)
def test_what_is_no_table_is_one_sentence(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words):
        read_label_names(tmp_path / name)
    with pytest.raises(DataError, match='no such file'):
        read_label_names(tmp_path / 'missing.txt')


def test_titles():
    assert label_title('17', {17: 'Left'}) == 'Left (17)' and label_title(3, {17: 'Left'}) == '3'
    assert label_title('spine/2', {2: 'x'}) == 'spine/2'
