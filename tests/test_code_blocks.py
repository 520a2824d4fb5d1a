"""The Python blocks of all pages run, page by page, in the order in which a reader meets them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreg.io import Geometry, Volume, write_volume
from mmreg.utils.config import load_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').rglob('*.md'))]
#: Pages whose blocks need more than files: their own tests run them.
ELSEWHERE = {
    'own_parts.md': 'tests/test_own_parts.py',
    'transforms.md': 'tests/transforms/test_transforms_tutorial.py',
    'register.md': 'tests/registration/test_register_tutorial.py',
    'files_and_transforms.md': 'tests/io/test_tutorial.py',
}


def blocks_of(page):
    text = page.read_text('utf-8')
    found = re.finditer(r'```python\n(.*?)```', text, flags=re.DOTALL)
    return [(text[: match.start()].count('\n') + 2, match[1]) for match in found]


WITH_BLOCKS = [page for page in PAGES if blocks_of(page) and page.name not in ELSEWHERE]


def test_pages_that_are_run_elsewhere():
    for page, test in ELSEWHERE.items():
        assert page in (ROOT / test).read_text('utf-8') and blocks_of(next(p for p in PAGES if p.name == page))


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A folder with the files that pages name, and the objects that they take for granted."""
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    grid = Geometry.from_parts((32, 32, 32), spacing=(2.0, 2.0, 2.0))
    points = np.stack(np.indices(grid.shape), -1)
    for name, shift in (('fixed', 0), ('moving', 2), ('t1', 0), ('t2', 1)):
        ball = np.exp(-(((points - 15.5 - shift) / (6, 8, 7)) ** 2).sum(-1)).astype(np.float32)
        write_volume(tmp_path / f'{name}.nii.gz', Volume(ball, grid))
        if name == 'moving':
            write_volume(tmp_path / 'labels.nii.gz', Volume((ball > 0.5).astype(np.int16), grid))
    monkeypatch.chdir(tmp_path)
    ball = torch.exp(-((torch.from_numpy(points - 15.5) / 7) ** 2).sum(-1)).float()[None, None]
    return {'fixed': ball, 'moving': ball.roll(1, 2), 'points': np.full((2, 3), 20.0), 'geometry': grid}


def small_network(monkeypatch, name, **changes):
    """The config of that name with few channels, built whenever a page builds it, without its checkpoint."""
    import mmreg
    import mmreg.apis
    from mmreg.registration.inferencer import RegistrationInferencer
    from mmreg.registry import REGISTRARS

    def build(*args, **kwargs):
        from mmreg.plugins import register_all_modules
        from mmreg.utils.config import merge_options

        register_all_modules()
        cfg = load_config(ROOT / 'configs' / f'{name}.py')
        merge_options(cfg, changes)
        model = REGISTRARS.build(cfg.model).eval()
        model.cfg = cfg
        return model

    monkeypatch.setattr(mmreg.apis, 'init_model', build)
    monkeypatch.setattr(mmreg, 'RegistrationInferencer', lambda *a, **k: RegistrationInferencer(build()), raising=False)
    return build


def prepared(page, given, monkeypatch):
    """What a page needs besides the files."""
    from mmreg.structures import RegSample

    if page.name == 'c2fvit.md':
        given |= {'model': small_network(monkeypatch, 'c2fvit_oasis')(), 'RegSample': RegSample}
        given['inputs'] = {'fixed': given['fixed'], 'moving': given['moving']}
        given['geometry'] = given['geometry'].affine
    if page.name == 'transmorph.md':
        small_network(monkeypatch, 'transmorph_bayes_ixi', **{'model.backbone.width': 12, 'model.samples': 2})
    if page.name == 'textscf.md':
        changes = {'model.backbone.channels': 2, 'model.flow_head.hidden_dim': 8}
        changes['model.flow_head.text_embedding'] = [{'type': 'HashTextEmbedding', 'dim': 768}]
        given['model'] = small_network(monkeypatch, 'textscf_oasis', **changes)()
    if page.name == 'inference.md':
        small_network(monkeypatch, 'eoir_lumir', **{'model.backbone.encoder.channels': 2})
    if page.name == 'report.md':
        import mmreg

        given['result'] = mmreg.register('fixed.nii.gz', 'moving.nii.gz', preset='generic', affine='none')
    return given


@pytest.mark.parametrize('page', WITH_BLOCKS, ids=lambda page: page.stem)
def test_blocks_of_a_page_run(page, surroundings, monkeypatch, tmp_path):
    given = prepared(page, dict(surroundings), monkeypatch)
    for line, text in blocks_of(page):
        if '_base_ =' in text:  # a config beside those that ship
            file = tmp_path / f'{page.stem}_{line}.py'
            file.write_text(re.sub(r"\['(\w+\.py)'\]", rf"['{ROOT}/configs/\1']", text))
            load_config(file)
            continue
        exec(compile(text, f'{page}:{line}', 'exec'), given)
