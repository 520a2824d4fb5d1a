"""Embeddings: definitions, background rules, files, fallback; and label sets with their maps."""

import json
import sys

import numpy as np
import pytest

from mmreg.commands.embed import main
from mmreg.errors import ConfigError, DataError
from mmreg.text import TextTable, TextUnavailable, get_label_set
from mmreg.text.embedding import background_row, embed
from mmreg.text.hashing import hash_vector
from mmreg.text.prompts import prompts_of

HASH = {'type': 'HashTextEmbedding', 'dim': 64}


def test_hash_is_the_written_definition():
    import hashlib

    text, values = 'a left thalamus', []
    for block in range(2):
        digest = hashlib.sha256(text.encode() + b'\x00' + str(block).encode()).digest()
        words = [int.from_bytes(digest[k : k + 4], 'big') for k in range(0, 32, 4)]
        values += [(word + 0.5) / 2**31 - 1 for word in words]
    expected = np.array(values[:13]) / np.linalg.norm(values[:13]) * 3
    np.testing.assert_allclose(hash_vector(text, 13, 3.0), expected, rtol=1e-12)


@pytest.mark.parametrize('name', ['oasis35', 'abdomenct13', 'btcv13', 'acdc3', 'hippocampus2', 'demo4'])
def test_every_label_set_embeds(name):
    labels = get_label_set(name)
    table = embed(labels, HASH)
    assert table.embeddings.shape == (len(labels.names), 64) and table.embeddings.dtype == np.float32
    assert labels.values == tuple(range(len(labels.names))) and labels.names[0] == 'background'
    np.testing.assert_allclose(np.linalg.norm(table.embeddings[1:], axis=1), 10, rtol=1e-5)
    assert np.abs(table.embeddings[0] @ table.embeddings[1:].T).max() < 1e-5
    assert np.linalg.norm(table.embeddings[0]) == pytest.approx(1)


def test_background_rules():
    rows = np.random.default_rng(0).standard_normal((3, 8))
    assert not background_row(rows, 'zeros').any()
    assert np.linalg.norm(background_row(rows, 'orthogonal', 2.5)) == pytest.approx(2.5)
    assert np.linalg.norm(background_row(rows, 'svd_last_column')) == pytest.approx(1, rel=1e-5)
    with pytest.raises(ConfigError, match='3 names in 3 dimensions'):
        background_row(rows[:, :3], 'orthogonal')
    prompted = embed(get_label_set('acdc3'), {**HASH, 'background': 'prompt'})
    np.testing.assert_allclose(prompted.embeddings[0], hash_vector('background', 64, 10), rtol=1e-5)
    assert embed(get_label_set('acdc3'), {**HASH, 'background': 'learned'}).trained == 'background'
    with pytest.raises(ConfigError, match='wrong'):
        embed(get_label_set('acdc3'), {**HASH, 'background': 'wrong'})


def test_other_kinds():
    labels = get_label_set('acdc3')
    assert np.array_equal(embed(labels, {'type': 'OneHotTextEmbedding'}).embeddings, np.eye(4))
    first, second = (embed(labels, {'type': 'RandomTextEmbedding', 'dim': 5, 'seed': k}).embeddings for k in (0, 1))
    assert not np.allclose(first, second)
    assert embed(labels, {'type': 'LearnedTextEmbedding', 'dim': 6}).trained == 'all'


def test_prompts(tmp_path):
    labels = get_label_set('acdc3')
    assert prompts_of(labels)[0] == 'A cine magnetic resonance imaging of a right ventricle in human heart.'
    words = {'template': 'A {modality} of a {name} in human {body_part}.', 'modality': 'scan', 'body_part': 'chest'}
    assert prompts_of(labels, words)[0] == 'A scan of a right ventricle in human chest.'
    file = tmp_path / 'texts.json'
    file.write_text(json.dumps({name: f'free text of {name}' for name in labels.names[1:]}))
    assert prompts_of(labels, {'file': str(file)})[2] == 'free text of left ventricle blood pool'
    file.write_text(json.dumps({'right ventricle': 'x'}))
    with pytest.raises(ConfigError, match=r"texts.json has no prompt of 'left ventricular myocardium' \(2 missing\)"):
        prompts_of(labels, {'file': str(file)})
    with pytest.raises(ConfigError, match='has no {name}'):
        prompts_of(labels, 'a heart')


@pytest.mark.parametrize('suffix', ['.npz', '.safetensors'])
def test_files_are_looked_up_by_name(tmp_path, suffix):
    if suffix == '.safetensors':
        pytest.importorskip('safetensors')
    path, labels = tmp_path / f'rows{suffix}', get_label_set('abdomenct13')
    written = embed(labels, HASH)
    written.save(path)
    other = embed(get_label_set('btcv13'), {'type': 'FileTextEmbedding', 'path': str(path), 'encoder': 'hash-64'})
    assert np.array_equal(other.embeddings[12], written.embeddings[13])  # right adrenal gland
    assert np.array_equal(other.embeddings[13], written.embeddings[12])
    assert other.meta['computed_by'] == 'HashTextEmbedding' and other.prompts[13] == written.prompts[12]
    with pytest.raises(ConfigError, match=r"encoder 'hash-64', expected 'ViT-L-14-336'"):
        embed(labels, {'type': 'FileTextEmbedding', 'path': str(path), 'encoder': 'ViT-L-14-336'})
    with pytest.raises(ConfigError, match=r"has no embedding of 'right ventricle'.*3 of 4 names"):
        embed(get_label_set('acdc3'), {'type': 'FileTextEmbedding', 'path': str(path)})


def test_a_changed_or_strange_file_is_refused(tmp_path):
    path = tmp_path / 'rows.npz'
    table = embed(get_label_set('acdc3'), HASH)
    table.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, 'embeddings': arrays['embeddings'] + 1})
    with pytest.raises(DataError, match='another checksum'):
        TextTable.load(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(DataError, match='no embedding file'):
        TextTable.load(path)


def test_the_first_provider_that_works_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, 'open_clip', None)
    labels = get_label_set('acdc3')
    missing = {'type': 'FileTextEmbedding', 'path': 'nowhere_{label_set}.npz'}
    table = embed(labels, [missing, {'type': 'OpenClipTextEmbedding'}, HASH])
    assert table.meta['encoder'] == 'hash-64'
    assert 'nowhere_acdc3.npz' in table.meta['tried'][0] and 'mmreg[clip]' in table.meta['tried'][1]
    with pytest.raises(TextUnavailable, match='no provider works here'):
        embed(labels, [missing])


def test_label_sets_and_their_maps(tmp_path):
    oasis, abdomen = get_label_set('oasis35'), get_label_set('abdomenct13')
    assert oasis.mapping_from('freesurfer')[53] == oasis.value_of('right hippocampus') == 30
    assert oasis.mapping_from('freesurfer')[31] == 19 and 31 not in oasis.mapping_from('synthseg')
    assert 24 not in oasis.mapping_from('synthseg')
    assert abdomen.mapping_from('totalsegmentator')['adrenal_gland_left'] == 12
    assert abdomen.mapping_from('totalsegmentator')[52] == abdomen.value_of('aorta')
    assert abdomen.mapping_from('btcv13')[12] == 13 and abdomen.mapping_from('btcv13')[13] == 12
    with pytest.raises(ConfigError, match=r"no map from 'nobody'"):
        abdomen.mapping_from('nobody')
    file = tmp_path / 'own.yaml'
    file.write_text('1: heart\n4: lung\n')
    own = get_label_set(str(file))
    assert own.labels == {0: 'background', 1: 'heart', 4: 'lung'}
    for text in ('- 1\n- 2\n', '{', '1: a\n2: A\n'):
        file.write_text(text)
        with pytest.raises(ConfigError):
            get_label_set(str(file))
    with pytest.raises(ConfigError, match="'oasis36' is unknown"):
        get_label_set('oasis36')


def test_the_tool_writes_where_the_config_looks(tmp_path, capsys):
    config, place = tmp_path / 'config.py', tmp_path / '{label_set}_{encoder}.npz'
    providers = [{'type': 'FileTextEmbedding', 'path': str(place), 'encoder': 'hash-64'}, HASH]
    head = {'type': 'TextSCFHead', 'label_set': 'acdc3', 'text_embedding': providers}
    config.write_text(f'model = dict(type="Registrar", flow_head={head!r})\n')
    assert main([str(config)]) == 0
    assert 'acdc3_hash-64.npz: 4 rows of 64' in capsys.readouterr().out
    assert embed(get_label_set('acdc3'), providers).meta['provider'] == 'FileTextEmbedding'
    config.write_text('model = dict(type="Registrar", flow_head=dict(type="ConvFlowHead"))\n')
    assert main([str(config)]) == 2


class Waits:
    """Stands for a hub: counts how often it is asked."""

    asked = 0


@pytest.fixture
def waiting(monkeypatch):
    from mmreg.registry import TEXT_EMBEDDINGS
    from mmreg.text.hashing import hash_vector
    from mmreg.text.open_clip import OpenClipTextEmbedding

    def encode(self, prompts):
        Waits.asked += 1
        return np.stack([hash_vector(prompt, 16, 4) for prompt in prompts])

    assert TEXT_EMBEDDINGS.get('OpenClipTextEmbedding') is OpenClipTextEmbedding
    monkeypatch.setattr(OpenClipTextEmbedding, 'encode', encode)
    monkeypatch.setattr(OpenClipTextEmbedding, 'details', lambda self: {})
    Waits.asked = 0
    file = {'type': 'FileTextEmbedding', 'path': 'nowhere/{label_set}.npz', 'encoder': 'ViT-L-14-336'}
    return [file, {'type': 'OpenClipTextEmbedding'}, {'type': 'HashTextEmbedding', 'dim': 16}]


@pytest.mark.parametrize('background', ['orthogonal', 'learned'])
def test_nothing_is_fetched_before_rows_are_needed(waiting, background):
    import copy

    import torch

    from mmreg.models.base import FeatureSpec
    from mmreg.models.flow_heads.textscf import TextSCFHead

    waiting[1]['background'] = background

    def build():
        features = FeatureSpec(
            ndim=2, channels=[4], strides=[(1, 1)], siamese=False, size_divisor=(1, 1), min_size=(1, 1)
        )
        return TextSCFHead(features, label_set='acdc3', text_embedding=waiting, text_dim=16, hidden_dim=8)

    first = build()
    second = copy.deepcopy(first)
    assert Waits.asked == 0 and first.text.trained == ('background' if background == 'learned' else 'none')
    table = first.filter_table()
    assert Waits.asked == 1 and torch.isfinite(table).all() and first.text.meta['encoder'] == 'ViT-L-14-336'
    assert torch.isfinite(second.filter_table()).all() and Waits.asked == 2
    third = build()
    third.load_state_dict(first.state_dict())
    torch.testing.assert_close(third.filter_table(), table)
    assert Waits.asked == 2, 'the checkpoint brought the rows'


def test_listing_models_fetches_nothing(waiting):
    from mmreg.cli import main as mmreg

    assert mmreg(['models', 'textscf_oasis_oracle']) == 0
    assert mmreg(['models', 'textscf_abdomenct', '--json']) == 0
    assert Waits.asked == 0


def test_hash_rows_are_written_only_when_asked(tmp_path, capsys):
    """Without an encoder at hand nothing is written, and the exit code says so."""
    from unittest import mock

    from mmreg.text.open_clip import OpenClipTextEmbedding
    from mmreg.text.table import TextUnavailable

    def absent(self, prompts):
        raise TextUnavailable('no encoder here')

    out = tmp_path / 'rows.npz'
    with mock.patch.object(OpenClipTextEmbedding, 'encode', absent):
        assert main(['configs/textscf_oasis.py', '--out', str(out)]) == 2
        assert not out.exists() and 'no encoder here' in capsys.readouterr().err
        assert main(['configs/textscf_oasis.py', '--out', str(out), '--hash']) == 0
    assert out.is_file()


def test_why_a_library_cannot_be_imported():
    from mmreg.text.open_clip import why_not

    error = RuntimeError('operator torchvision::nms does not exist')
    assert 'pip install "mmreg[clip]"' in why_not('no_such_module', 'clip', error)
    told = why_not('json', 'clip', error)
    assert 'torchvision::nms' in told and 'pip install' not in told
