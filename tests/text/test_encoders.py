"""CLIP towers of either library, tiny and with random weights; skipped where the library is not installed."""

import importlib
import json
import warnings

import numpy as np
import pytest

from mmreg.text import get_label_set
from mmreg.text.embedding import embed

LABELS = get_label_set('acdc3')


def library(name):
    """The library; skipped where it is absent or was built for another torch."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f'{name} cannot be imported here: {error}')


def test_open_clip(tmp_path):
    open_clip = library('open_clip')
    vision = {'image_size': 32, 'layers': 1, 'width': 16, 'patch_size': 16, 'head_width': 8}
    text = {'context_length': 77, 'vocab_size': 49408, 'width': 16, 'heads': 2, 'layers': 1}
    path = tmp_path / 'tiny-tower.json'
    path.write_text(json.dumps({'embed_dim': 12, 'vision_cfg': vision, 'text_cfg': text}))
    open_clip.add_model_config(path)
    provider = {'type': 'OpenClipTextEmbedding', 'model': 'tiny-tower', 'pretrained': None}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        table = embed(LABELS, provider)
    assert table.embeddings.shape == (4, 12) and np.isfinite(table.embeddings).all()
    assert table.meta['encoder'] == 'tiny-tower' and 'open_clip_torch' in table.meta['library']
    assert not np.allclose(table.embeddings[1], table.embeddings[2])


def test_hugging_face(tmp_path):
    transformers = library('transformers')
    words = sorted({letter for prompt in LABELS.names for letter in prompt} | set('abcdefghijklmnopqrstuvwxyz.'))
    tokens = ['<|startoftext|>', '<|endoftext|>', *words, *(f'{word}</w>' for word in words)]
    (tmp_path / 'vocab.json').write_text(json.dumps({token: k for k, token in enumerate(tokens)}))
    (tmp_path / 'merges.txt').write_text('#version: 0.2\n')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        tokenizer = transformers.CLIPTokenizer(str(tmp_path / 'vocab.json'), str(tmp_path / 'merges.txt'))
        tokenizer.save_pretrained(tmp_path)
        config = transformers.CLIPTextConfig(
            vocab_size=len(tokens), hidden_size=16, intermediate_size=16, projection_dim=12, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=77, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )  # fmt: skip
        transformers.CLIPTextModelWithProjection(config).save_pretrained(tmp_path)
        provider = {'type': 'HFTextEmbedding', 'model': str(tmp_path), 'local_files_only': True}
        table = embed(LABELS, provider)
    assert table.embeddings.shape == (4, 12) and np.isfinite(table.embeddings).all()
    assert 'transformers' in table.meta['library']
    assert not np.allclose(table.embeddings[1], table.embeddings[2])


def test_a_library_that_is_there_without_weights_falls_through(monkeypatch):
    library('transformers')
    missing = {'type': 'HFTextEmbedding', 'model': 'nobody/nothing', 'local_files_only': True}
    table = embed(LABELS, [missing, {'type': 'HashTextEmbedding', 'dim': 8}])
    assert table.meta['encoder'] == 'hash-8' and 'nobody/nothing' in table.meta['tried'][0]
