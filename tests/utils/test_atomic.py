"""Files that exist whole or not at all."""

import pytest

from mmreg.utils.atomic import replacing, write_text


def test_error_leaves_the_old_file(tmp_path):
    path = tmp_path / 'deep' / 'a.nii.gz'
    write_text(path, 'old')
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        assert temporary.name.endswith('.nii.gz') and temporary.parent == path.parent
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text(encoding='utf-8') == 'old' and [p.name for p in path.parent.iterdir()] == ['a.nii.gz']
    write_text(path, 'new')
    assert path.read_text(encoding='utf-8') == 'new'
