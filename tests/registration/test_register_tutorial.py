"""The page on registration without training: its commands are understood, its Python runs."""

import re
import shlex
from pathlib import Path

from mmreg.commands.register import build_parser
from mmreg.commands.shared.run_options import check_run
from mmreg.io import write_volume
from mmreg.registration.presets import preset as presets

from .phantoms import centred, draw, pose, write_preset

PAGE = Path(__file__).parents[2] / 'docs/tutorials/register.md'
TEXT = PAGE.read_text(encoding='utf-8')


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', TEXT, re.S)


def test_commands_are_understood():
    lines = [line for block in blocks('bash') for line in block.splitlines() if 'register' in line]
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line)
        args = build_parser().parse_args(words[words.index('register') + 1 :])
        if not args.list_presets:
            check_run(args)
        if args.preset:
            assert args.preset in presets.find_presets()
        for key in args.cfg_options:
            assert key.startswith('optimisation.levels.')


def test_python_runs(tmp_path, monkeypatch):
    """With a quick preset in the place of the chosen one."""
    grid = centred((16, 14, 15), (5.0, 5.0, 5.0))
    for seed, name in enumerate(('fixed', 'moving', 'other')):
        write_volume(tmp_path / f'{name}.nii.gz', draw(grid, pose(3 * seed, (seed, 0, 0)), seed=seed))
    quick = write_preset(tmp_path, '\noptimisation = dict(levels=[dict(scale=1, iterations=2)])\n')
    monkeypatch.setattr(presets, 'find_presets', lambda: {'generic': quick})
    monkeypatch.setattr('mmreg.registration.presets.choice.find_presets', lambda: {'generic': quick})
    monkeypatch.chdir(tmp_path)
    scope = {}
    code = [block for block in blocks('python') if not block.startswith('# mine.py')]
    assert len(code) == 2
    for block in code:
        exec(block, scope)
    assert scope['result'].provenance['preset']['name'] == 'generic'
    assert (tmp_path / 'out' / 'report.html').is_file()


def test_the_preset_of_the_page(tmp_path):
    (block,) = [block for block in blocks('python') if block.startswith('# mine.py')]
    base = presets.find_presets()['brain_t1']
    path = tmp_path / 'mine.py'
    path.write_text(re.sub(r"'/path/.*?'", repr(str(base)), block))
    preset = presets.load_preset(path)
    plain = presets.load_preset('brain_t1')
    assert preset.cfg.model.losses.similarity == {**plain.cfg.model.losses.similarity, 'window': 7}
    assert preset.cfg.optimisation.smooth_update == 2.5 and preset.summary == 'Brain MR of children'
    assert preset.cfg.optimisation.levels == plain.cfg.optimisation.levels
