"""The demonstration runs from end to end, and continues where it was stopped."""

import pytest

from mmreg.commands import demo

pytest.importorskip('nilearn')


@pytest.mark.slow
@pytest.mark.filterwarnings('default')
def test_quick(tmp_path, capfd):
    for _ in range(2):
        assert demo.main(['--out', str(tmp_path / 'out'), '--quick']) == 0
        out = capfd.readouterr().out
        assert 'simulated' in out and 'tissue Dice' in out and 'white matter' in out
    assert {'warped.nii.gz', 'overview.png', 'plan.json'} <= {p.name for p in (tmp_path / 'out/registration').iterdir()}
    assert len(list((tmp_path / 'out/figures').glob('*.png'))) == 2
    lines = [line for line in out.splitlines() if line.startswith(('sim2000', 'fixed__moving'))]
    scores = [line.split(' -> ')[0].split()[-1] for line in lines]
    assert len(lines) == 2 and scores[0] == scores[1]  # files with other axes: the same pair
